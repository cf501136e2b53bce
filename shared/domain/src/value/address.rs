//! Where a code can be sent: a phone number, an e-mail address, or a user whom the caller speaks
//! for; and the channel that reaches it.

use super::id::UserId;
use email_address::Options;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A text message to a phone number.
    Sms,
    /// An e-mail.
    Email,
    /// The answer to the caller, who has proven to speak for the user.
    Caller,
}

impl Channel {
    /// The channel's name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Caller => "caller",
        }
    }
}

/// Why a text is no address. The text itself is not repeated: errors reach logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not a number that a phone can have.
    #[error("not a valid phone number")]
    Phone,
    /// Not an address that a mail can reach.
    #[error("not a valid e-mail address")]
    Email,
}

/// The longest phone number that is looked at; E.164 allows 15 digits, people add punctuation.
const MAX_PHONE_TEXT: usize = 32;

/// The longest e-mail address: 64 (local part) + `@` + 255 (domain), RFC 3696 erratum 1690.
pub const MAX_EMAIL_LENGTH: usize = 320;

/// A valid phone number in E.164 form (`+` and at most 15 digits).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Parses an international number: `+`, country code, national number. Spaces, dots, hyphens
    /// and brackets are tolerated; letters, extensions and URIs are not.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').ok_or(AddressError::Phone)?;
        Self::from_international(digits)
    }

    /// Parses a national number together with its country dial code (`"91"` or `"+91"`).
    pub fn parse_national(country_code: &str, national: &str) -> Result<Self, AddressError> {
        let code = country_code.strip_prefix('+').unwrap_or(country_code);
        let is_code = (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        if !is_code {
            return Err(AddressError::Phone);
        }
        Self::from_international(&format!("{code} {national}"))
    }

    fn from_international(digits: &str) -> Result<Self, AddressError> {
        let readable = |b: u8| b.is_ascii_digit() || b" -.()".contains(&b);
        if digits.len() > MAX_PHONE_TEXT || !digits.bytes().all(readable) {
            return Err(AddressError::Phone);
        }
        let number =
            PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None).map_err(|_| AddressError::Phone)?;
        if !number.is_valid() {
            return Err(AddressError::Phone);
        }
        Ok(Self(number.format_as(PhoneNumberFormat::E164).into_owned()))
    }

    /// The number in E.164 form, `+` first.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(masked)")
    }
}

/// A syntactically valid e-mail address of at most [`MAX_EMAIL_LENGTH`] characters.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Parses a bare address, without display name, domain literal or quoted local part (which
    /// would be a second spelling of the same mailbox). ASCII only: SES takes no internationalised
    /// local part, and an internationalised domain travels as punycode. Nor is a local part taken
    /// that mail servers may read as something else: a route to another host (`a%b@…`, `a!b@…`,
    /// RFC 5321 §F.2 and RFC 976) or an encoded word (`=?…?=`, RFC 2047).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let options =
            Options::default().without_display_text().without_domain_literal().with_required_tld();
        let is_ambiguous = text.contains(['"', '%', '!']) || text.contains("=?");
        if text.len() > MAX_EMAIL_LENGTH || !text.is_ascii() || is_ambiguous {
            return Err(AddressError::Email);
        }
        let address = email_address::EmailAddress::parse_with_options(text, options)
            .map_err(|_| AddressError::Email)?;
        let top = address.domain().rsplit('.').next().unwrap_or_default();
        let has_letter = top.bytes().any(|b| b.is_ascii_alphabetic());
        has_letter.then(|| Self(text.to_owned())).ok_or(AddressError::Email)
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox that it leads to: the address in lower case, without what follows a `+`, and at Gmail
    /// without dots. Some providers know no such names; theirs are rare.
    #[must_use]
    pub fn mailbox(&self) -> String {
        let address = self.canonical();
        let Some((local, domain)) = address.rsplit_once('@') else { return address };
        let named = local.split('+').next().filter(|name| !name.is_empty()).unwrap_or(local);
        match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", named.replace('.', "")),
            _ => format!("{named}@{domain}"),
        }
    }

    /// The address in lower case. Mailboxes differ in case only in theory, and guesses at `ada@`
    /// and `ADA@` must spend the same attempts.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(masked)")
    }
}

/// A phone number, an e-mail address, or a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// Reached by [`Channel::Sms`].
    Phone(PhoneNumber),
    /// Reached by [`Channel::Email`].
    Email(EmailAddress),
    /// Reached by [`Channel::Caller`]; a registered address may stand beside it.
    User(UserId),
}

impl Address {
    /// The channel that reaches it.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Phone(_) => Channel::Sms,
            Self::Email(_) => Channel::Email,
            Self::User(_) => Channel::Caller,
        }
    }

    /// One text per mailbox, phone or user.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Phone(phone) => phone.as_str().to_owned(),
            Self::Email(email) => email.canonical(),
            Self::User(user) => user.as_str().to_owned(),
        }
    }

    /// What kind of address it is, for keys.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Phone(_) => "phone",
            Self::Email(_) => "email",
            Self::User(_) => "user",
        }
    }
}

/// The addresses of one challenge: the one it is about, and perhaps one of the other kind, for
/// when the first cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    #[serde(rename = "to")]
    primary: Address,
    #[serde(rename = "or", default, skip_serializing_if = "Option::is_none")]
    other: Option<Address>,
}

impl Addresses {
    /// A challenge about `primary`. An `other` of the same kind is left out.
    #[must_use]
    pub fn new(primary: Address, other: Option<Address>) -> Self {
        let other = other.filter(|other| other.channel() != primary.channel());
        Self { primary, other }
    }

    /// Whom a challenge for these addresses is about.
    #[must_use]
    pub const fn primary(&self) -> &Address {
        &self.primary
    }

    /// Whether they reach the same phone, mailbox and user, however they are spelt.
    #[must_use]
    pub fn are_those_of(&self, others: &Self) -> bool {
        let spelt = |address: &Address| (address.kind(), address.canonical());
        let all =
            |addresses: &Self| (spelt(&addresses.primary), addresses.other.as_ref().map(spelt));
        all(self) == all(others)
    }

    /// Where messages go first: a user's registered address, and everybody else's own.
    pub(crate) fn first_sent_to(&self) -> &Address {
        match (&self.primary, &self.other) {
            (Address::User(_), Some(registered)) => registered,
            (primary, _) => primary,
        }
    }

    /// Whether a code on this channel proves what the challenge asks. A registered mailbox proves
    /// its user; to hold somebody's mailbox is no proof about a phone.
    #[must_use]
    pub fn are_proven_on(&self, channel: Channel) -> bool {
        matches!(self.primary, Address::User(_)) || self.primary.channel() == channel
    }

    /// The address that a channel reaches.
    #[must_use]
    pub fn on(&self, channel: Channel) -> Option<&Address> {
        [Some(&self.primary), self.other.as_ref()]
            .into_iter()
            .flatten()
            .find(|address| address.channel() == channel)
    }
}

impl From<PhoneNumber> for Addresses {
    fn from(phone: PhoneNumber) -> Self {
        Self::new(Address::Phone(phone), None)
    }
}

impl From<EmailAddress> for Addresses {
    fn from(email: EmailAddress) -> Self {
        Self::new(Address::Email(email), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_phone_numbers_are_refused() {
        let long = format!("+1{}", "5".repeat(400));
        for text in [
            "",
            "+",
            "14155550100",
            "+0",
            "+1",
            "+999999999999999",
            "+1415555010",
            "+14155550100x5",
            "tel:+14155550100",
            "+1415CALLADA",
            "+1\u{663}155550100",
            "+14155550100\n",
            &long,
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(AddressError::Phone), "{text:?}");
        }
        for (code, national) in
            [("", "9876543210"), ("9x", "1"), ("91", ""), ("1234", "5"), ("91", "+919876543210")]
        {
            assert!(PhoneNumber::parse_national(code, national).is_err(), "{code:?} {national:?}");
        }
    }

    #[test]
    fn the_numbers_of_the_contracts_are_valid() {
        for text in ["+14155550100", "+2348011111111", "+306912345678", "+919876543210"] {
            assert_eq!(PhoneNumber::parse(text).unwrap().as_str(), text);
        }
        let split = PhoneNumber::parse_national("91", "9876543210").unwrap();
        assert_eq!(split, PhoneNumber::parse("+91 98765-43210").unwrap());
    }

    #[test]
    fn unreachable_email_addresses_are_refused() {
        let long = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(300));
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "\"ada\"@example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ádá@example.com",
            "=?utf-8?q?x?=@example.com",
            "=?utf-8?b?YWRh?=ada@example.com",
            "ada%mail.example@example.com",
            "mail.example!ada@example.com",
            &long,
        ] {
            assert_eq!(EmailAddress::parse(text), Err(AddressError::Email), "{text:?}");
        }
    }

    #[test]
    fn mailboxes_with_unusual_letters_are_taken() {
        for text in
            ["ada+shop@example.com", "a.d_a-1@example.com", "ada=b@example.com", "o'a@example.com"]
        {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_email_address_is_one_mailbox_in_any_case() {
        let upper = EmailAddress::parse("Ada@Example.COM").unwrap();
        assert_eq!(upper.canonical(), "ada@example.com");
        assert_eq!(upper.as_str(), "Ada@Example.COM");
    }

    #[test]
    fn debug_output_hides_the_address() {
        let email = EmailAddress::parse("ada@example.com").unwrap();
        assert!(!format!("{:?}", Address::Email(email)).contains("ada"));
    }
}
