//! The program of `prelude-session-otp-check`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_otp_check::boot)
}
