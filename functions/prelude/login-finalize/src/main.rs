//! The program of `prelude-login-finalize`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(prelude_login_finalize::boot)
}
