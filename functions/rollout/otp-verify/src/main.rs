//! The program of `rollout-otp-verify`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(rollout_otp_verify::boot)
}
