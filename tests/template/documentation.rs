//! The Markdown pages as tested code: a default, a range, a name or a link in them is what the code
//! has.
//!
//! A table of settings begins with `| setting | default | allowed | … |`. The first cell of a row names
//! settings of an app by their paths, each in backticks, and siblings of the first by `.name`; the
//! defaults follow in the same order with `, ` between them, and what is allowed with `; ` between them.

use passcode::template;
use passcode_domain::{App, app::guard::Rule};
use passcode_runtime::log::{
    ALARM_METRIC, DROPPED_METRIC, METRICS, REFUSED_METRIC, SHADOW_ALARM_METRIC, SHADOW_METRIC,
};
use passcode_tests::event::root;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Settings that `passcode app set` does not take.
const NOT_SET_BY_HAND: [&str; 3] = ["id", "secrets", "admin_keys"];

/// The folders that hold pages, with how many folders below them do.
const PLACES: [(&str, usize); 5] =
    [("", 0), ("functions", 1), ("shared", 1), ("cli", 0), ("tests", 0)];

/// A setting as a page documents it.
struct Setting {
    path: String,
    default: String,
    allowed: String,
}

/// Every README.md, and the page of a first deployment.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("cli/deploy.md")];
    for (place, depth) in PLACES {
        let folder = root().join(place);
        pages.push(folder.join("README.md"));
        if depth > 0 {
            let entries = fs::read_dir(&folder).expect("a folder");
            let below = entries.map(|entry| entry.expect("an entry").path().join("README.md"));
            pages.extend(below);
        }
    }
    pages.retain(|page| page.exists());
    pages
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A new app, as it is stored.
fn new_app() -> Value {
    let app = App::new("shop".parse().expect("an id"), "");
    serde_json::to_value(app).expect("an app is JSON")
}

/// The cells of a row of a table; `None` for other lines.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// What stands in backticks.
fn codes(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of all tables of settings on a page.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let (mut is_inside, mut rows) = (false, Vec::new());
    for line in text.lines() {
        match cells(line) {
            None => is_inside = false,
            Some(row) if row.starts_with(&["setting", "default", "allowed"]) => is_inside = true,
            Some(row) => rows.extend(is_inside.then_some(row)),
        }
    }
    rows
}

/// The settings of a row; none of the line below the head.
fn settings_in(row: &[&str]) -> Vec<Setting> {
    let [names, defaults, allowed, ..] = row else { return Vec::new() };
    let names = codes(names);
    let Some(first) = names.first() else { return Vec::new() };
    let parent = first.rsplit_once('.').map_or("", |(parent, _)| parent);
    let defaults: Vec<_> = defaults.split(", ").collect();
    assert_eq!(names.len(), defaults.len(), "as many settings as defaults: {row:?}");
    // Where there is one setting, what it allows may hold any character.
    let allowed: Vec<_> = match names.len() {
        1 => vec![*allowed],
        _ => allowed.split("; ").collect(),
    };
    let setting = |(place, (name, default)): (usize, (&&str, &str))| Setting {
        path: name.strip_prefix('.').map_or((*name).to_owned(), |name| format!("{parent}.{name}")),
        default: default.replace(['`', ','], ""),
        allowed: allowed.get(place).copied().unwrap_or_default().replace(',', ""),
    };
    names.iter().zip(defaults).enumerate().map(setting).collect()
}

/// Every setting that a page documents, by its path.
fn documented() -> BTreeMap<String, Setting> {
    let mut found = BTreeMap::new();
    for file in pages() {
        let text = fs::read_to_string(&file).expect("a page");
        for setting in rows(&text).iter().flat_map(|row| settings_in(row)) {
            let path = setting.path.clone();
            let before = found.insert(path.clone(), setting);
            assert!(before.is_none(), "{}: {path} is documented twice", file.display());
        }
    }
    found
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// A value as pages write it. Lists are sets of names, so their order does not matter.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::Array(items) => sorted(items.iter().map(written)),
        // Only a brand has no default that could be empty.
        Value::String(text) if text.is_empty() => "required".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn sorted(names: impl Iterator<Item = String>) -> String {
    names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

/// The paths of all settings: whatever is no object with fields.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                paths(value, &path, found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// Whether an app with a setting changed is one that can be stored.
fn is_valid(path: &str, number: i64) -> bool {
    let mut app = new_app();
    app["name"] = "Shop".into();
    *app.pointer_mut(&pointer(path)).expect("a setting") = number.into();
    serde_json::from_value::<App>(app).is_ok_and(|app| app.validate().is_ok())
}

/// The row of a table of settings, with the defaults that the code has.
fn with_defaults(line: &str, app: &Value) -> Option<String> {
    let row = cells(line)?;
    let settings = settings_in(&row);
    let is_kept = |setting: &Setting| {
        let default = app.pointer(&pointer(&setting.path)).map(written);
        default == Some(sorted(setting.default.split(' ').map(str::to_owned)))
    };
    if settings.is_empty() || settings.iter().all(is_kept) {
        return None;
    }
    let default = |setting: &Setting| Some(written(app.pointer(&pointer(&setting.path))?));
    let defaults = settings.iter().map(default).collect::<Option<Vec<_>>>()?.join(", ");
    let mut row = row;
    row[1] = &defaults;
    Some(format!("| {} |", row.join(" | ")))
}

/// Writes the code's defaults into the pages: `UPDATE_DOCUMENTATION=1 cargo test --package
/// passcode-tests --test template documentation`.
fn update_defaults(app: &Value) {
    for file in pages() {
        let text = fs::read_to_string(&file).expect("a page");
        let rows: BTreeSet<_> = rows(&text).iter().map(|row| row.join(" | ")).collect();
        let is_row = |line: &str| cells(line).is_some_and(|row| rows.contains(&row.join(" | ")));
        let updated = |line: &str| is_row(line).then(|| with_defaults(line, app)).flatten();
        let lines = text.lines().map(|line| updated(line).unwrap_or_else(|| line.to_owned()));
        let written: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
        if written != text {
            fs::write(&file, written).expect("the page is written");
        }
    }
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let app = new_app();
    if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
        update_defaults(&app);
    }
    let documented = documented();
    for setting in documented.values() {
        let default = app.pointer(&pointer(&setting.path));
        let default = default.unwrap_or_else(|| panic!("{} is no setting", setting.path));
        let documented = sorted(setting.default.split(' ').map(str::to_owned));
        assert_eq!(documented, written(default), "the default of {}", setting.path);
    }
    let mut all = Vec::new();
    paths(&app, "", &mut all);
    all.retain(|path| !NOT_SET_BY_HAND.contains(&path.as_str()));
    let missing: Vec<_> = all.iter().filter(|path| !documented.contains_key(*path)).collect();
    assert!(missing.is_empty(), "not in any table of settings: {missing:?}");
}

#[test]
fn the_documented_ranges_are_those_that_are_allowed() {
    let (app, mut checked) = (new_app(), 0);
    for Setting { path, allowed, .. } in documented().values() {
        if !app.pointer(&pointer(path)).is_some_and(Value::is_number) {
            continue;
        }
        let least = allowed.split_once(" to ").or(allowed.split_once(" or ")).map(|(n, _)| n);
        let most = allowed.split_once(" to ").map(|(_, n)| n);
        for (bound, beyond) in [(least, -1), (most, 1)] {
            let Some(bound) = bound.and_then(|n| n.parse::<i64>().ok()) else { continue };
            assert!(is_valid(path, bound), "{path} = {bound} is documented and refused");
            assert!(!is_valid(path, bound + beyond), "{path}: {bound} is not the end of its range");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} bounds were found in the tables");
}

#[test]
fn every_rule_metric_alarm_and_parameter_is_named() {
    let (operator, shared) = (page("cli/README.md"), page("shared/README.md"));
    let names_in = |text: &str, name: &str| codes(text).contains(&name);
    for rule in Rule::ALL {
        let path = format!("guard.{}.mode", rule.as_str());
        assert!(names_in(&operator, &path), "cli/README.md lacks {path}");
    }
    let metrics = METRICS.map(|(_, metric)| metric);
    let others = [ALARM_METRIC, SHADOW_ALARM_METRIC, SHADOW_METRIC, DROPPED_METRIC, REFUSED_METRIC];
    for metric in metrics.into_iter().chain(others) {
        assert!(names_in(&shared, metric), "shared/README.md lacks the metric {metric}");
    }
    let yaml = super::yaml();
    for alarm in super::alarms::alarms(&yaml) {
        assert!(operator.contains(&format!("\n| `{alarm}` |")), "cli/README.md lacks {alarm}");
    }
    let (parameters, rows) = (&yaml["Parameters"], parameter_rows(&operator));
    let parameters = parameters.as_mapping().expect("parameters");
    assert_eq!(rows.len(), parameters.len(), "{rows:?}");
    for (name, parameter) in parameters {
        let name = name.as_str().expect("a name");
        let default = match &parameter["Default"] {
            yaml_serde::Value::String(text) if text.is_empty() => "empty".to_owned(),
            yaml_serde::Value::String(text) => text.clone(),
            number => number.as_u64().expect("a number").to_string(),
        };
        assert_eq!(rows.get(name), Some(&default), "cli/README.md on the parameter {name}");
        assert!(
            parameter["Description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{name}"
        );
    }
}

/// The parameters in the table of parameters, with their defaults.
fn parameter_rows(text: &str) -> BTreeMap<String, String> {
    let mut rows = text.lines().skip_while(|line| !line.starts_with("| template parameter |"));
    rows.next();
    let rows = rows.map_while(cells);
    let named = rows.flat_map(|row| {
        let default = row[1].to_owned();
        codes(row[0]).into_iter().map(move |name| (name.to_owned(), default.clone()))
    });
    named.collect()
}

#[test]
fn every_function_and_route_stands_in_the_pages_of_its_contract() {
    let readme = page("README.md");
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    for function in &template.functions {
        let contract = function.name.split('-').next().expect("a contract");
        let path = format!("functions/{contract}/README.md");
        let text = page(&path);
        let events = format!("(events/{})", function.name);
        assert!(readme.contains(&events), "README.md lacks {}", function.name);
        assert!(codes(&text).contains(&&*function.name), "{path} lacks {}", function.name);
        for route in function.routes.iter().filter(|route| route.method != "OPTIONS") {
            let key = format!("{} {}", route.method, route.path);
            let is_there = codes(&text).iter().any(|code| code.split('?').next() == Some(&key));
            assert!(is_there, "{path} lacks {key}");
        }
    }
}

/// The codes that an operation's page must have: what its answers are described with in backticks, or
/// four digits of OTPless.
fn error_codes(operation: &Value) -> Vec<String> {
    let responses = operation["responses"].as_object().into_iter().flat_map(Map::values);
    let texts = responses.filter_map(|response| response["description"].as_str());
    let mut found = Vec::new();
    for text in texts {
        let is_code = |code: &&str| code.contains(['_', '-']) && !code.starts_with("Retry");
        found.extend(codes(text).into_iter().filter(is_code).map(str::to_owned));
        let words = text.split(|c: char| !c.is_ascii_digit());
        let words = words.filter(|word| word.len() == 4 && word.starts_with('7'));
        found.extend(words.map(str::to_owned));
    }
    found
}

#[test]
fn every_documented_status_and_error_code_stands_in_the_page_of_its_contract() {
    let document = serde_json::to_value(passcode::openapi::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").values();
    let operations = paths.filter_map(Value::as_object).flat_map(Map::values);
    let mut seen = 0;
    for operation in operations.filter(|operation| operation["operationId"].is_string()) {
        let id = operation["operationId"].as_str().expect("an id");
        let path = format!("functions/{}/README.md", id.split('-').next().expect("a contract"));
        let text = page(&path);
        let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let statuses = operation["responses"].as_object().expect("responses").keys();
        for status in statuses {
            assert!(words.contains(&&**status), "{path} lacks the status {status} of {id}");
        }
        for code in error_codes(operation) {
            assert!(text.contains(&code), "{path} lacks {code} of {id}");
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} codes were found in the OpenAPI document");
}

#[test]
fn the_readme_is_short_and_names_the_defaults_of_a_policy() {
    let readme = page("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
    let policy = App::new("shop".parse().expect("an id"), "").policy;
    let expected = format!(
        "By default a code lives {} minutes, a challenge ends after {} wrong codes, and a subject is \
         locked after {} failures in a row",
        policy.code_seconds / 60,
        policy.max_attempts,
        policy.max_failures
    );
    let words: Vec<_> = readme.split_whitespace().collect();
    assert!(words.join(" ").contains(&expected), "README.md does not say: {expected}");
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// The targets of a page's links, code apart.
fn links(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| target.to_owned()));
        }
    }
    found
}

fn has_anchor(page: &Path, anchored: &str) -> bool {
    let text = fs::read_to_string(page).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|anchor| anchor == anchored)
}

#[test]
fn every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (file, anchored) = link.split_once('#').unwrap_or((link, ""));
            let target = page.parent().expect("a folder").join(file);
            let target = if file.is_empty() { page.clone() } else { target };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            let leads = anchored.is_empty() || has_anchor(&target, anchored);
            assert!(leads, "{}: {link}: no such heading", page.display());
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} links were found");
}
