//! The program of `otpless-otp-initiate`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_otp_initiate::boot)
}
