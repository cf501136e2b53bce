//! The program of `otpless-order-resend`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run(otpless_order_resend::boot)
}
