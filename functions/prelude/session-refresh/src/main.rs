//! The program of `prelude-session-refresh`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_refresh::boot)
}
