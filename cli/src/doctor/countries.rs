//! Countries that SNS cannot send text messages to before something is registered there.
//!
//! From AWS's documentation, as it was in November 2026: *Registration forms* (sms-voice,
//! registrations-country), *Supported countries* (end-user-messaging, nx-supported-countries-…, "Registration
//! required") and *Supported countries and regions* (sns, sns-supported-regions-countries: a dedicated number
//! for the United States and its territories since 2023-08-31). Austria, China and the United Kingdom have forms
//! as well: in Austria and the United Kingdom nothing says that messages are dropped without them, and China is
//! opened for an account by AWS Support alone.

/// What a country demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// A number of its own, which is registered: sender ids do not exist there.
    Number,
    /// A registered sender id, or a number of its own.
    SenderId,
    /// A sender id, an entity and a template that are registered (DLT); without them messages take the
    /// international route, at many times the price.
    Dlt,
    /// AWS Support opens the country for an account, and every text is registered.
    Support,
}

const DEMANDS: [(Demand, &[&str]); 4] = [
    (Demand::Number, &["AS", "GU", "PR", "US", "VI"]),
    (
        Demand::SenderId,
        &[
            "AE", "AU", "BD", "BY", "CM", "EG", "ES", "FI", "ID", "IE", "JO", "KE", "KH", "KW",
            "KZ", "LK", "PH", "QA", "RU", "SA", "SG", "TH", "TR", "VN", "ZM",
        ],
    ),
    (Demand::Dlt, &["IN"]),
    (Demand::Support, &["CN"]),
];

/// What a country demands, if it is known to demand anything.
pub(super) fn demand(country: &str) -> Option<Demand> {
    DEMANDS.iter().find(|(_, countries)| countries.contains(&country)).map(|(demand, _)| *demand)
}

/// The country whose numbers serve a country: those of the United States serve its territories.
pub(super) fn served_by(country: &str) -> &str {
    match demand(country) {
        Some(Demand::Number) => "US",
        _ => country,
    }
}

/// Text messages a second of a number, by its kind and country (sms-voice, sms-limitations-mps).
pub(super) fn rate(kind: &str, country: &str) -> u64 {
    match (kind, country) {
        ("SHORT_CODE", _) => 100,
        ("TOLL_FREE", _) => 3,
        ("TEN_DLC", _) | ("LONG_CODE", "CA" | "US") => 1,
        _ => 10,
    }
}
