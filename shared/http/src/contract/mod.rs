//! What the functions of one contract share: its error table, its authentication, its ids.

pub mod otpless;
pub mod otpless_order;
pub mod pace;
pub mod page;
pub mod prelude;
pub mod tenant;
pub mod zap;
