//! The values of a line: the user, and what the line changes.

use super::file::Line;
use crate::lines::Fault;
use passcode_domain::{
    EmailAddress, PhoneNumber, User, UserId, Username,
    secret::{
        password::{self, HashedSecret},
        pin,
    },
};
use std::{collections::HashMap, fmt::Display, hash::Hash};

/// A valid line.
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) id: UserId,
    pub(super) username: Option<Username>,
    email: Option<EmailAddress>,
    phone: Option<PhoneNumber>,
    pin: Option<Secret>,
    password: Option<Secret>,
}

/// A PIN or a password in a line.
enum Secret {
    Clear(String),
    Hashed(HashedSecret),
}

impl Secret {
    fn hashed(self, salt: [u8; 16]) -> HashedSecret {
        match self {
            Self::Clear(secret) => HashedSecret::of(&secret, salt),
            Self::Hashed(hash) => hash,
        }
    }
}

impl Entry {
    /// Parses a line, or returns all its faults.
    pub(super) fn of(line: &Line) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader { line, faults: Vec::new() };
        let id = reader.read("id", str::parse);
        let username = reader.read("username", str::parse);
        let email = reader.read("email", EmailAddress::parse);
        let phone = reader.read("phone", PhoneNumber::parse);
        let pin = reader.secret("pin", "pin_hash", pin::check);
        let password = reader.secret("password", "password_hash", password::check);
        if reader.value("id").is_none() {
            reader.refuse("id", "missing");
        }
        match id.filter(|_| reader.faults.is_empty()) {
            Some(id) => Ok(Self { line: line.number, id, username, email, phone, pin, password }),
            None => Err(reader.faults),
        }
    }

    /// The changed user. Secrets are hashed here, which takes some tens of milliseconds each.
    pub(super) fn applied_to(self, user: User, salts: [[u8; 16]; 2]) -> User {
        let [for_pin, for_password] = salts;
        User {
            username: self.username.or(user.username),
            email: self.email.or(user.email),
            phone: self.phone.or(user.phone),
            pin: self.pin.map(|pin| pin.hashed(for_pin)).or(user.pin),
            password: self.password.map(|word| word.hashed(for_password)).or(user.password),
            ..user
        }
    }
}

/// Separates the first line of each user and of each name from the lines that repeat one.
pub(super) fn without_repeats(entries: Vec<Entry>) -> (Vec<Entry>, Vec<Fault>) {
    let (mut ids, mut names) = (HashMap::new(), HashMap::new());
    let (mut kept, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        let same_id = earlier(&mut ids, Some(&entry.id), entry.line);
        // A line that repeats a user does not take a name from the others.
        let name = entry.username.as_ref().filter(|_| same_id.is_none());
        let same_name = earlier(&mut names, name, entry.line);
        match same_id.map(|line| ("id", line)).or(same_name.map(|line| ("username", line))) {
            Some((field, line)) => {
                faults.push(Fault::new(entry.line, field, &format!("the same as in line {line}")));
            }
            None => kept.push(entry),
        }
    }
    (kept, faults)
}

/// The earlier line with this value, if any. Remembers the line for later calls.
fn earlier<T: Clone + Eq + Hash>(
    seen: &mut HashMap<T, u64>,
    value: Option<&T>,
    line: u64,
) -> Option<u64> {
    let first = *seen.entry(value?.clone()).or_insert(line);
    (first != line).then_some(first)
}

struct Reader<'a> {
    line: &'a Line,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn value(&self, field: &str) -> Option<&str> {
        let values = &mut self.line.values.iter();
        values.find(|(name, _)| *name == field).map(|(_, value)| value.as_str())
    }

    fn refuse(&mut self, field: &'static str, reason: &(impl Display + ?Sized)) {
        self.faults.push(Fault::new(self.line.number, field, reason));
    }

    /// A value, if there is a valid one. Spaces around it are ignored.
    fn read<T, E: Display>(
        &mut self,
        field: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.value(field)?.trim()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, &error);
                None
            }
        }
    }

    /// A secret in clear text or as a hash. Spaces are part of a secret.
    fn secret<E: Display>(
        &mut self,
        clear: &'static str,
        hashed: &'static str,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Option<Secret> {
        let hash = self.read(hashed, str::parse).map(Secret::Hashed);
        let Some(secret) = self.value(clear).map(str::to_owned) else { return hash };
        if self.value(hashed).is_some() {
            self.refuse(hashed, &format!("beside `{clear}`"));
        }
        if let Err(error) = check(&secret) {
            self.refuse(clear, &error);
        }
        Some(Secret::Clear(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, values: &[(&'static str, &str)]) -> Result<Entry, Vec<Fault>> {
        let values = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Entry::of(&Line { number, values })
    }

    fn faults(values: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let faults = entry(2, values).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_and_no_value_is_repeated() {
        let found = faults(&[
            ("id", "a b"),
            ("username", "@ada"),
            ("email", "ada"),
            ("phone", "4155550100"),
            ("pin", "1234"),
            ("password_hash", "hunter2hunter2"),
        ]);
        let fields: Vec<_> = found.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, ["id", "username", "email", "phone", "pin", "password_hash"]);
        let text = format!("{found:?}");
        assert!(text.contains("no series") && text.contains("PHC"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("4155550100"), "{text}");
    }

    #[test]
    fn a_line_names_its_user_and_gives_a_secret_once() {
        assert_eq!(faults(&[("email", "ada@example.com")]), [("id", "missing".to_owned())]);
        let hash = String::from(HashedSecret::decoy());
        let both = [("id", "1"), ("pin", "1793"), ("pin_hash", hash.as_str())];
        assert_eq!(faults(&both), [("pin_hash", "beside `pin`".to_owned())]);
        assert_eq!(faults(&[("id", "1"), ("password", "short")]).len(), 1);
    }

    #[test]
    fn a_user_keeps_what_a_line_does_not_name() {
        let before = User {
            username: "ada".parse().ok(),
            password: Some(HashedSecret::decoy()),
            ..User::new("demo".parse().expect("an id"), "1".parse().expect("an id"))
        };
        let entry = entry(2, &[("id", "1"), ("email", " ada@example.com "), ("pin", "1793")]);
        let entry = entry.unwrap_or_else(|faults| panic!("{faults:?}"));
        let after = entry.applied_to(before.clone(), [[1; 16], [2; 16]]);
        assert!(after.pin.as_ref().is_some_and(|pin| pin.matches("1793")));
        assert_eq!(after.email.as_ref().map(EmailAddress::as_str), Some("ada@example.com"));
        assert_eq!(User { pin: None, email: None, ..after }, before);
    }

    #[test]
    fn the_first_line_of_a_user_and_of_a_name_counts() {
        let lines = [
            entry(2, &[("id", "1"), ("username", "ada")]),
            entry(3, &[("id", "1"), ("username", "eve")]),
            entry(4, &[("id", "2"), ("username", "ADA")]),
            entry(5, &[("id", "3"), ("username", "eve")]),
            entry(6, &[("id", "4")]),
        ];
        let entries = lines.into_iter().map(|line| line.unwrap_or_else(|f| panic!("{f:?}")));
        let (kept, faults) = without_repeats(entries.collect());
        assert_eq!(kept.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 5, 6]);
        let same = |line, field| Fault::new(line, field, "the same as in line 2");
        assert_eq!(faults, [same(3, "id"), same(4, "username")]);
    }
}
