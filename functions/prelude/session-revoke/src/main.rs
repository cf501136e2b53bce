//! The program of `prelude-session-revoke`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_revoke::boot)
}
