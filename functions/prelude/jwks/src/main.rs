//! The program of `prelude-jwks`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_jwks::boot)
}
