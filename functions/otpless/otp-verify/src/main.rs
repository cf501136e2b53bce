//! The program of `otpless-otp-verify`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_otp_verify::boot)
}
