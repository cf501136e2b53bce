//! The program of `pace-user-pin-update`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(pace_user_pin_update::boot)
}
