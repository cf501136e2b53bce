//! The program of `otpless-auth-status`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_auth_status::boot)
}
