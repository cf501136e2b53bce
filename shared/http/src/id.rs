//! The forms in which contracts print the id of a challenge. A challenge that was opened through one
//! contract can be verified through another, so all forms stand here.

use passcode_domain::{ChallengeId, Keyring, secret::token::VerificationToken};

/// How a contract prints the id of a challenge: a prefix, then the id in base32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdForm {
    prefix: &'static str,
}

/// OTPless's `requestId`. PACE and ZAP name challenges in this form in a header.
pub const REQUEST_ID: IdForm = IdForm { prefix: "ARID_" };

/// The `orderId` of the older generation of OTPless, where Passcode made it.
pub const ORDER_ID: IdForm = IdForm { prefix: "Otp_" };

/// The id alone.
pub const BARE: IdForm = IdForm { prefix: "" };

/// Every form. The one without a prefix is the last, because it would match all others' prefixes.
const FORMS: [IdForm; 3] = [REQUEST_ID, ORDER_ID, BARE];

impl IdForm {
    /// Prints an id.
    #[must_use]
    pub fn print(self, id: ChallengeId, keyring: &Keyring) -> String {
        format!("{}{}", self.prefix, id.print(keyring))
    }

    /// Reads an id; `None` where the text has another form.
    #[must_use]
    pub fn parse(self, text: &str, keyring: &Keyring) -> Option<ChallengeId> {
        ChallengeId::parse(text.strip_prefix(self.prefix)?, keyring).ok()
    }
}

/// Reads the id of a challenge in any contract's form. Prelude's browsers hold a verification token
/// instead, which has the id in it.
#[must_use]
pub fn parse_any(text: &str, keyring: &Keyring) -> Option<ChallengeId> {
    let bare = FORMS.iter().find_map(|form| text.strip_prefix(form.prefix))?;
    BARE.parse(bare, keyring).or_else(|| VerificationToken::id_in(bare, keyring))
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::SubjectKey;

    #[test]
    fn every_form_is_read_and_none_is_read_as_another() {
        let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
        let keyring = Keyring::from_secret(secret).expect("a keyring");
        let id = ChallengeId::new(SubjectKey::from_bytes([1; 16]), [2; 16]);
        for form in FORMS {
            assert_eq!(parse_any(&form.print(id, &keyring), &keyring), Some(id), "{form:?}");
            for other in FORMS {
                let expected = (other == form).then_some(id);
                assert_eq!(
                    other.parse(&form.print(id, &keyring), &keyring),
                    expected,
                    "{form:?} as {other:?}"
                );
            }
        }
        assert_eq!(parse_any("ARID_Otp_", &keyring), None);
    }
}
