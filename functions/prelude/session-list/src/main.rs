//! The program of `prelude-session-list`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_session_list::boot)
}
