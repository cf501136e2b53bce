//! Amounts of money.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// An amount of money, in millionths of the app's currency; as text, a decimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u64);

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an amount is a decimal number with at most six digits behind the point, as in 0.05")]
pub struct MalformedAmount;

impl Amount {
    /// So many millionths.
    #[must_use]
    pub const fn from_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    #[must_use]
    pub const fn as_millionths(self) -> u64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = MalformedAmount;

    fn from_str(text: &str) -> Result<Self, MalformedAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 9) || !digits(part, 6) {
            return Err(MalformedAmount);
        }
        let millionths = format!("{whole}{part:0<6}").parse();
        millionths.map(Self).map_err(|_| MalformedAmount)
    }
}

impl TryFrom<String> for Amount {
    type Error = MalformedAmount;

    fn try_from(text: String) -> Result<Self, MalformedAmount> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

/// With two digits behind the point, or as many more as it takes.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % 1_000_000);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2}", self.0 / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1.0000001", "-1", "1,5", "1e3", "1234567890", "1.2.3"] {
            assert_eq!(text.parse::<Amount>(), Err(MalformedAmount), "{text:?}");
        }
        for (text, millionths, shown) in [
            ("25", 25_000_000, "25.00"),
            ("0.05", 50_000, "0.05"),
            ("0.007410", 7_410, "0.00741"),
            ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount.as_millionths(), amount.to_string().as_str()), (millionths, shown));
        }
    }
}
