//! Every contract, row by row: a recorded event goes in, an exact answer comes out. No network.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod coverage;
mod delivery_receipts;
mod enumeration;
mod idempotency;
mod otpless_auth_create;
mod otpless_auth_status;
mod otpless_order_resend;
mod otpless_order_send;
mod otpless_order_verify;
mod otpless_otp_initiate;
mod otpless_otp_verify;
mod pace;
mod pace_user_otp_create;
mod pace_user_otp_sendmail;
mod pace_user_otp_verify;
mod pace_user_pin_update;
mod pace_user_secret_check;
mod prelude;
mod prelude_jwks;
mod prelude_login_finalize;
mod prelude_session_list;
mod prelude_session_otp_check;
mod prelude_session_otp_create;
mod prelude_session_otp_retry;
mod prelude_session_refresh;
mod prelude_session_revoke;
mod prelude_sessions;
mod prelude_stepup_request;
mod rollout_otp_verify;
mod shared;
mod shared_challenges;
mod zap_otp_generate;
mod zap_otp_resend;
mod zap_otp_verify;
mod zap_shared;
