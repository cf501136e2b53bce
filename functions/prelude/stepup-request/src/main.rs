//! The program of `prelude-stepup-request`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_stepup_request::boot)
}
