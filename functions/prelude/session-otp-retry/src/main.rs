//! The program of `prelude-session-otp-retry`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_otp_retry::boot)
}
