//! The program of `delivery-receipts`.

fn main() -> Result<(), passcode_runtime::Error> {
    passcode_runtime::run_consumer(delivery_receipts::boot)
}
