//! What a phone number tells of the message that goes there: its country and its type.

use super::address::PhoneNumber;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A country: two capital letters (ISO 3166-1 alpha-2). `ZZ` is a number of no country, such as a
/// satellite phone's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

/// A text that is no country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a country is two capital letters (ISO 3166-1)")]
pub struct MalformedCountry;

impl Country {
    /// Of numbers that belong to no country.
    pub const NONE: Self = Self(*b"ZZ");

    /// The country as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only capital letters get in.
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl FromStr for Country {
    type Err = MalformedCountry;

    fn from_str(text: &str) -> Result<Self, MalformedCountry> {
        let letters: [u8; 2] = text.as_bytes().try_into().map_err(|_| MalformedCountry)?;
        let is_country = letters.iter().all(u8::is_ascii_uppercase);
        is_country.then_some(Self(letters)).ok_or(MalformedCountry)
    }
}

impl TryFrom<String> for Country {
    type Error = MalformedCountry;

    fn try_from(text: String) -> Result<Self, MalformedCountry> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({self})")
    }
}

/// What kind of number it is, by the plan of its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberType {
    /// A landline, a mobile phone, or one of the two.
    Subscriber,
    /// A number on the internet.
    Voip,
    /// A number that follows a person.
    Personal,
    /// Free for callers; the holder pays.
    TollFree,
    /// Dearer than others, and shared with its holder.
    PremiumRate,
    /// Paid by both sides.
    SharedCost,
    /// A pager.
    Pager,
    /// A company's number for everything (universal access).
    Uan,
    /// A mailbox for voices.
    Voicemail,
    /// In no plan.
    Unknown,
}

/// Country and type of a number.
#[must_use]
pub fn origin(phone: &PhoneNumber) -> (Country, NumberType) {
    let Ok(number) = PHONE_NUMBER_UTIL.parse(phone.as_str(), None) else {
        return (Country::NONE, NumberType::Unknown);
    };
    let region = number.get_region_code();
    let country = region
        .and_then(|region| region.as_region_str().as_str().parse().ok())
        .unwrap_or(Country::NONE);
    (country, of_library(number.get_type()))
}

const fn of_library(kind: PhoneNumberType) -> NumberType {
    match kind {
        PhoneNumberType::FixedLine
        | PhoneNumberType::Mobile
        | PhoneNumberType::FixedLineOrMobile => NumberType::Subscriber,
        PhoneNumberType::VoIP => NumberType::Voip,
        PhoneNumberType::PersonalNumber => NumberType::Personal,
        PhoneNumberType::TollFree => NumberType::TollFree,
        PhoneNumberType::PremiumRate => NumberType::PremiumRate,
        PhoneNumberType::SharedCost => NumberType::SharedCost,
        PhoneNumberType::Pager => NumberType::Pager,
        PhoneNumberType::UAN => NumberType::Uan,
        PhoneNumberType::VoiceMail => NumberType::Voicemail,
        PhoneNumberType::Unknown => NumberType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, NumberType) {
        let (country, kind) = origin(&PhoneNumber::parse(text).unwrap());
        (country.to_string(), kind)
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for text in ["", "U", "us", "USA", "U1", "ÜS"] {
            assert_eq!(text.parse::<Country>(), Err(MalformedCountry), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_cost_more_than_they_should_are_known() {
        for (text, country, kind) in [
            ("+19002345678", "US", NumberType::PremiumRate),
            ("+18002345678", "US", NumberType::TollFree),
            ("+448431234567", "GB", NumberType::PremiumRate),
            ("+4918012345", "DE", NumberType::SharedCost),
            ("+447640123456", "GB", NumberType::Pager),
            ("+445612345678", "GB", NumberType::Voip),
            ("+447012345678", "GB", NumberType::Personal),
            ("+445551234567", "GB", NumberType::Uan),
            ("+390112345678", "IT", NumberType::Subscriber),
            ("+80012345678", "ZZ", NumberType::TollFree),
            ("+14155550100", "US", NumberType::Subscriber),
            ("+14165550100", "CA", NumberType::Subscriber),
            ("+919876543210", "IN", NumberType::Subscriber),
            ("+306912345678", "GR", NumberType::Subscriber),
            ("+2348011111111", "NG", NumberType::Subscriber),
        ] {
            let Ok(_) = PhoneNumber::parse(text) else { panic!("{text} is no number") };
            assert_eq!(of(text), (country.to_owned(), kind), "{text}");
        }
    }
}
