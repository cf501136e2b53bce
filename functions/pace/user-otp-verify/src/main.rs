//! The program of `pace-user-otp-verify`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(pace_user_otp_verify::boot)
}
