//! The program of `otpless-order-send`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_order_send::boot)
}
