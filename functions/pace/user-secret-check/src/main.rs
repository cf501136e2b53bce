//! The program of `pace-user-secret-check`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(pace_user_secret_check::boot)
}
