//! Stores the users of a file, a few at a time, and reports the lines that were refused.

use super::{
    entry::{Entry, without_repeats},
    file,
};
use crate::{
    lines::Fault,
    output::{self, Output},
};
use futures_util::{StreamExt as _, stream};
use passcode_domain::{
    AppId, User,
    ports::{Entropy as _, LoadUsers as _, StoreError, StoreUserError, StoreUsers as _},
};
use passcode_dynamodb::UserTable;
use passcode_runtime::SystemEntropy;
use serde_json::json;
use std::{collections::BTreeSet, error::Error, path::Path};

/// The number of users that are stored at the same time. Hashing takes 19 MiB of memory for each.
const AT_ONCE: usize = 8;

/// Stores the users of a file. The other lines are stored even if some are refused.
pub(super) async fn import(
    users: &UserTable,
    app: &AppId,
    path: &Path,
    dry_run: bool,
) -> Result<Output, Box<dyn Error>> {
    let (entries, mut faults) = parsed(path)?;
    let bar = output::progress(entries.len());
    let mut stored = 0;
    let tasks = entries.into_iter().map(|entry| store(users, app, entry, dry_run));
    let mut results = stream::iter(tasks).buffer_unordered(AT_ONCE);
    while let Some(result) = results.next().await {
        match result {
            Ok(()) => stored += 1,
            Err(fault) => faults.push(fault),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    faults.sort_by_key(|fault| fault.line);
    Ok(report(path, stored, &faults, dry_run))
}

/// The valid lines, and the faults of the others.
fn parsed(path: &Path) -> Result<(Vec<Entry>, Vec<Fault>), Box<dyn Error>> {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    for line in file::read(path)? {
        match line.map_err(|fault| vec![fault]).and_then(|line| Entry::of(&line)) {
            Ok(entry) => entries.push(entry),
            Err(found) => faults.extend(found),
        }
    }
    let (entries, repeats) = without_repeats(entries);
    faults.extend(repeats);
    Ok((entries, faults))
}

async fn store(users: &UserTable, app: &AppId, entry: Entry, dry_run: bool) -> Result<(), Fault> {
    let line = entry.line;
    let failed = |error: StoreError| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        Fault::new(line, "", &format!("{error}: {cause}"))
    };
    if dry_run {
        return is_free(users, app, &entry)
            .await
            .map_err(failed)?
            .then_some(())
            .ok_or_else(|| taken(line));
    }
    let user = users.load_user(app, &entry.id).await.map_err(failed)?;
    let user = user.unwrap_or_else(|| User::new(app.clone(), entry.id.clone()));
    let salts = [SystemEntropy.bytes(), SystemEntropy.bytes()];
    let user = tokio::task::spawn_blocking(move || entry.applied_to(user, salts)).await;
    let user = user.map_err(|error| Fault::new(line, "", &error))?;
    users.store_user(&user).await.map_err(|error| match error {
        StoreUserError::NameTaken => taken(line),
        StoreUserError::Store(error) => failed(error),
    })
}

/// Whether no other user has the username of a line.
async fn is_free(users: &UserTable, app: &AppId, entry: &Entry) -> Result<bool, StoreError> {
    let Some(name) = &entry.username else { return Ok(true) };
    let holder = users.load_user_by_name(app, name).await?;
    Ok(holder.is_none_or(|holder| holder.id == entry.id))
}

fn taken(line: u64) -> Fault {
    Fault::new(line, "username", &StoreUserError::NameTaken)
}

fn report(path: &Path, stored: usize, faults: &[Fault], dry_run: bool) -> Output {
    let refused = faults.iter().map(|fault| fault.line).collect::<BTreeSet<_>>().len();
    let text = if dry_run {
        format!("would store {stored}, would refuse {refused}; nothing is stored")
    } else {
        format!("stored {stored}, refused {refused}")
    };
    let json = json!({
        if dry_run { "would_store" } else { "stored" }: stored,
        "refused": refused,
        "faults": faults.iter().map(Fault::json).collect::<Vec<_>>(),
    });
    Output {
        faults: faults.iter().map(|fault| fault.text(path)).collect(),
        ..Output::new(text, json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_counts_once_and_tells_everything() {
        let faults = [
            Fault::new(3, "phone", "not a valid phone number"),
            Fault::new(3, "pin", "a PIN is exactly 4 digits"),
            Fault::new(9, "", "not a JSON object"),
        ];
        let output = report(Path::new("users.csv"), 998, &faults, false);
        assert_eq!(output.text, "stored 998, refused 2");
        assert_eq!(output.faults[0], "users.csv:3: phone: not a valid phone number");
        assert_eq!(output.faults[2], "users.csv:9: not a JSON object");
        assert_eq!(
            (&output.json["refused"], &output.json["faults"][2]["line"]),
            (&2.into(), &9.into())
        );
        assert_eq!(output.json["faults"][2]["field"], serde_json::Value::Null);
    }
}
