//! The program of `prelude-session-otp-create`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_otp_create::boot)
}
