//! Every function by its name, on one world.

use crate::event::{Event, Served, served};
use passcode_domain::{
    World,
    ports::{
        ChangeUsers, CountVerified, Courier, ListSessions, LoadApps, LoadCounters, LoadKeyring,
        LoadLedgers, LoadSessions, LoadSigningKeys, LoadUsers, ReadTokens, ReserveCounters,
        StoreLedgers, StoreSessions,
    },
};

/// The ports of all functions together.
pub trait EveryPort:
    World<
        Apps: LoadApps,
        Users: LoadUsers + ChangeUsers,
        Ledgers: LoadLedgers + StoreLedgers,
        Sessions: LoadSessions + ListSessions + StoreSessions,
        Counters: LoadCounters + ReserveCounters + CountVerified,
        Tokens: ReadTokens,
        Keyring: LoadKeyring,
        SigningKeys: LoadSigningKeys,
        Couriers: Courier,
    >
{
}

impl<W> EveryPort for W where
    W: World<
            Apps: LoadApps,
            Users: LoadUsers + ChangeUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Sessions: LoadSessions + ListSessions + StoreSessions,
            Counters: LoadCounters + ReserveCounters + CountVerified,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
            Couriers: Courier,
        >
{
}

/// The functions that answer requests, and one `match` over them.
macro_rules! functions {
    ($($name:literal => $package:ident,)*) => {
        /// Their names.
        pub const FUNCTIONS: &[&str] = &[$($name),*];

        /// Answers an event by the function of that name.
        ///
        /// # Panics
        ///
        /// Where no function has that name.
        pub async fn serve<W: EveryPort>(function: &str, world: &W, event: &Event) -> Served {
            match function {
                $($name => Box::pin(served(event, async |request, record| {
                    $package::handle(world, request, record).await
                })).await,)*
                unknown => panic!("no function is named {unknown}"),
            }
        }
    };
}

functions! {
    "otpless-auth-create" => otpless_auth_create,
    "otpless-auth-status" => otpless_auth_status,
    "otpless-order-resend" => otpless_order_resend,
    "otpless-order-send" => otpless_order_send,
    "otpless-order-verify" => otpless_order_verify,
    "otpless-otp-initiate" => otpless_otp_initiate,
    "otpless-otp-verify" => otpless_otp_verify,
    "pace-user-otp-create" => pace_user_otp_create,
    "pace-user-otp-sendmail" => pace_user_otp_sendmail,
    "pace-user-otp-verify" => pace_user_otp_verify,
    "pace-user-pin-update" => pace_user_pin_update,
    "pace-user-secret-check" => pace_user_secret_check,
    "prelude-jwks" => prelude_jwks,
    "prelude-login-finalize" => prelude_login_finalize,
    "prelude-session-list" => prelude_session_list,
    "prelude-session-otp-check" => prelude_session_otp_check,
    "prelude-session-otp-create" => prelude_session_otp_create,
    "prelude-session-otp-retry" => prelude_session_otp_retry,
    "prelude-session-refresh" => prelude_session_refresh,
    "prelude-session-revoke" => prelude_session_revoke,
    "prelude-stepup-request" => prelude_stepup_request,
    "rollout-otp-verify" => rollout_otp_verify,
    "zap-otp-generate" => zap_otp_generate,
    "zap-otp-resend" => zap_otp_resend,
    "zap-otp-verify" => zap_otp_verify,
}
