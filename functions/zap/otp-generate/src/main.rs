//! The program of `zap-otp-generate`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(zap_otp_generate::boot)
}
