//! The program of `otpless-order-verify`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_order_verify::boot)
}
