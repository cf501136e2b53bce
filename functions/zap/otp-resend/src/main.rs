//! The program of `zap-otp-resend`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(zap_otp_resend::boot)
}
