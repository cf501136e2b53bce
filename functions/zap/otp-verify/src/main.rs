//! The program of `zap-otp-verify`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(zap_otp_verify::boot)
}
