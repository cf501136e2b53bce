//! The program of `otpless-auth-create`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_auth_create::boot)
}
