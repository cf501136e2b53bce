//! Which PINs are taken. A PIN is short, so the ones that people guess first are refused: "not
//! secure", as PACE calls them.

use thiserror::Error;

/// Why a PIN is refused. The PIN itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PinError {
    /// Not four digits.
    #[error("a PIN is exactly 4 digits")]
    Malformed,
    /// Such as 1122 or 0070.
    #[error("a PIN has at least 3 different digits")]
    TooFewDigits,
    /// Such as 1234, 9876 or 8901.
    #[error("a PIN is no series of digits, up or down")]
    Series,
}

/// Checks a PIN before it is hashed: exactly four digits, at least three of them different, and no
/// series, in which every digit is one more, or one less, than the one before. In a series 0 comes
/// after 9, as it does on a keypad: 7890 and 0987 are series, 1793 and 1235 are none.
pub fn check(pin: &str) -> Result<(), PinError> {
    let digits: [u8; 4] = pin.as_bytes().try_into().map_err(|_| PinError::Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(PinError::Malformed);
    }
    let is_first = |(place, digit): &(usize, &u8)| !digits[..*place].contains(digit);
    if digits.iter().enumerate().filter(is_first).count() < 3 {
        return Err(PinError::TooFewDigits);
    }
    if is_series(&digits) {
        return Err(PinError::Series);
    }
    Ok(())
}

/// Whether every ASCII digit is one more, or one less, than the one before; 0 comes after 9.
pub(crate) fn is_series(digits: &[u8]) -> bool {
    let goes_by = |step: u8| digits.windows(2).all(|pair| (10 + pair[1] - pair[0]) % 10 == step);
    goes_by(1) || goes_by(9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_four_digits_is_refused() {
        for pin in ["", "179", "17933", "17a3", "17 3", "١٧٩", "-179", "1793\n"] {
            assert_eq!(check(pin), Err(PinError::Malformed), "{pin:?}");
        }
    }

    #[test]
    fn what_people_guess_first_is_refused() {
        for pin in ["0000", "1111", "1112", "1122", "1212", "0070"] {
            assert_eq!(check(pin), Err(PinError::TooFewDigits), "{pin}");
        }
        for pin in ["1234", "4321", "0123", "6789", "7890", "8901", "9012", "0987", "2109"] {
            assert_eq!(check(pin), Err(PinError::Series), "{pin}");
        }
    }

    #[test]
    fn others_are_taken() {
        for pin in ["1793", "1235", "1223", "0198", "2468", "1357", "1243"] {
            assert_eq!(check(pin), Ok(()), "{pin}");
        }
    }

    #[test]
    fn of_all_pins_these_are_taken() {
        let taken = (0..10_000).filter(|pin| check(&format!("{pin:04}")).is_ok()).count();
        // 10 of one digit, 630 of two, 20 series.
        assert_eq!(taken, 10_000 - 10 - 630 - 20);
    }
}
