//! Every contract, row by row: a recorded event goes in, an exact answer comes out. No network.

mod otpless_auth_create;
mod otpless_auth_status;
mod otpless_otp_initiate;
mod rollout_otp_verify;
mod shared;
