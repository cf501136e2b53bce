//! Reads `template.yaml`: the functions with their routes and environments, and the tables with
//! their keys. The local stack is built from it, so it is the same as a deployed one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use thiserror::Error;
use yaml_serde::Value;

/// The parts of the template that the local stack needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Every function.
    pub functions: Vec<Function>,
    /// Every table.
    pub tables: Vec<Table>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The name of its crate, binary, folder of events and test module.
    pub name: String,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its environment. The value of a reference is the logical id of the resource, or the default
    /// of the parameter.
    pub environment: BTreeMap<String, String>,
}

/// A route of the API. If no other route matches, a last segment of the form `{name+}` matches the
/// rest of a path, and the method `ANY` matches every method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The method, in upper case.
    pub method: String,
    /// The path, with `{parameters}`.
    pub path: String,
}

impl Route {
    /// For a path with a last segment `{name+}`: the part before that segment, and its name.
    #[must_use]
    pub fn greedy(&self) -> Option<(&str, &str)> {
        let (before, last) = self.path.rsplit_once('/')?;
        let name = last.strip_prefix('{')?.strip_suffix("+}")?;
        is_word(name).then_some((before, name))
    }
}

/// A table whose keys are strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its logical id, and its name on this machine.
    pub name: String,
    /// Its keys: the partition key, and the sort key if there is one.
    pub keys: Vec<String>,
    /// The attribute with the time when an item expires.
    pub ttl: Option<String>,
}

/// An error of the template.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// There is no template.
    #[error("no template.yaml in this folder or above it")]
    Missing,
    /// It cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// It is not YAML.
    #[error("template.yaml: {0}")]
    Syntax(#[from] yaml_serde::Error),
    /// Something is missing or wrong in it.
    #[error("template.yaml: {0}")]
    Content(String),
}

/// The template in a folder, or in the nearest one above it.
pub fn find(from: &Path) -> Result<PathBuf, TemplateError> {
    let candidates = from.ancestors().map(|folder| folder.join("template.yaml"));
    candidates.into_iter().find(|path| path.is_file()).ok_or(TemplateError::Missing)
}

/// Reads a template.
pub fn read(path: &Path) -> Result<Template, TemplateError> {
    let unreadable = |cause| TemplateError::Unreadable { path: path.to_owned(), cause };
    parse(&fs::read_to_string(path).map_err(unreadable)?)
}

/// Parses a template.
pub fn parse(text: &str) -> Result<Template, TemplateError> {
    let root: Value = yaml_serde::from_str(text)?;
    let resources = root["Resources"].as_mapping().ok_or_else(|| lacks("Resources"))?;
    let mut template = Template { functions: Vec::new(), tables: Vec::new() };
    for (id, resource) in resources {
        let id = id.as_str().ok_or_else(|| lacks("a resource's name"))?;
        match resource["Type"].as_str() {
            Some("AWS::Serverless::Function") => {
                template.functions.push(function(id, resource, &root)?);
            }
            Some("AWS::DynamoDB::Table") => template.tables.push(table(id, resource)?),
            _ => {}
        }
    }
    if template.functions.is_empty() {
        return Err(lacks("a function"));
    }
    check_routes(&template.functions)?;
    Ok(template)
}

fn lacks(what: &str) -> TemplateError {
    TemplateError::Content(format!("{what} is missing"))
}

fn function(id: &str, resource: &Value, root: &Value) -> Result<Function, TemplateError> {
    let properties = &resource["Properties"];
    let code = properties["CodeUri"].as_str().ok_or_else(|| lacks(&format!("CodeUri of {id}")))?;
    let name = code.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let mut routes = Vec::new();
    for event in properties["Events"].as_mapping().into_iter().flat_map(|events| events.values()) {
        if event["Type"] == "HttpApi" {
            routes.push(route(id, &event["Properties"])?);
        }
    }
    let globals = &root["Globals"]["Function"];
    let mut environment = BTreeMap::new();
    for variables in [globals, properties].map(|place| &place["Environment"]["Variables"]) {
        for (variable, value) in variables.as_mapping().into_iter().flatten() {
            let variable = variable.as_str().unwrap_or_default();
            let value = resolve(value, root).ok_or_else(|| {
                TemplateError::Content(format!("{variable} of {id} has no value"))
            })?;
            environment.insert(variable.to_owned(), value);
        }
    }
    Ok(Function { name, routes, environment })
}

fn route(id: &str, properties: &Value) -> Result<Route, TemplateError> {
    let text = |key: &str| {
        let missing = || lacks(&format!("{key} of a route of {id}"));
        properties[key].as_str().map(str::to_owned).ok_or_else(missing)
    };
    let route = Route { method: text("Method")?.to_uppercase(), path: text("Path")? };
    let is_segment = |segment: &str| match segment.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').is_some_and(is_word),
        None => !segment.contains(['{', '}', '*', ':']),
    };
    let is_method =
        ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY"].contains(&&*route.method);
    let path = route.greedy().map_or(&*route.path, |(before, _)| before);
    if !is_method || !path.strip_prefix('/').is_some_and(|p| p.split('/').all(is_segment)) {
        let Route { method, path } = route;
        return Err(TemplateError::Content(format!("{id}: `{method} {path}` is no route")));
    }
    Ok(route)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Two functions cannot answer the same request.
fn check_routes(functions: &[Function]) -> Result<(), TemplateError> {
    let mut seen = BTreeSet::new();
    for route in functions.iter().flat_map(|function| &function.routes) {
        let segment =
            |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.into() };
        let shape: Vec<String> = route.path.split('/').map(segment).collect();
        if !seen.insert((&route.method, shape)) {
            let Route { method, path } = route;
            return Err(TemplateError::Content(format!("`{method} {path}` stands there twice")));
        }
    }
    Ok(())
}

fn table(id: &str, resource: &Value) -> Result<Table, TemplateError> {
    let properties = &resource["Properties"];
    let schema = properties["KeySchema"].as_sequence().into_iter().flatten();
    let keys: Option<Vec<String>> =
        schema.map(|key| key["AttributeName"].as_str().map(str::to_owned)).collect();
    let keys =
        keys.filter(|keys| !keys.is_empty()).ok_or_else(|| lacks(&format!("the keys of {id}")))?;
    let ttl = properties["TimeToLiveSpecification"]["AttributeName"].as_str();
    Ok(Table { name: id.to_owned(), keys, ttl: ttl.map(str::to_owned) })
}

/// A value on the local stack: a literal, the default of a parameter, or the logical id of a
/// resource.
fn resolve(value: &Value, root: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Tagged(tagged) if tagged.tag == "Ref" => {
            let name = tagged.value.as_str()?;
            match &root["Parameters"][name]["Default"] {
                Value::Null => root["Resources"].get(name).map(|_| name.to_owned()),
                default => resolve(default, root),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function with the same path on two routes.
    fn with_path(path: &str) -> String {
        let event = format!("{{Type: HttpApi, Properties: {{Method: get, Path: '{path}'}}}}");
        format!(
            "Resources: {{F: {{Type: 'AWS::Serverless::Function', Properties: {{CodeUri: x, \
             Events: {{A: {event}, B: {event}}}}}}}}}"
        )
    }

    #[test]
    fn what_cannot_run_is_named_in_one_line() {
        let function = "Resources: {F: {Type: 'AWS::Serverless::Function', Properties: ";
        for (text, expected) in [
            ("", "Resources is missing"),
            ("a: [", "template.yaml: "),
            ("Resources: {}", "a function is missing"),
            (&format!("{function}{{}}}}}}"), "CodeUri of F is missing"),
            (
                &format!("{function}{{CodeUri: x, Events: {{E: {{Type: HttpApi}}}}}}}}}}"),
                "Method of a route of F is missing",
            ),
            (
                &format!(
                    "{function}{{CodeUri: x, Environment: {{Variables: {{A: !Ref Nobody}}}}}}}}}}"
                ),
                "A of F has no value",
            ),
            (&with_path("a"), "`GET a` is no route"),
            (&with_path("/{a+}/b"), "`GET /{a+}/b` is no route"),
            (&with_path("/a"), "`GET /a` stands there twice"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn references_become_names_and_defaults() {
        let template = parse(
            "Parameters: {From: {Default: a@example.com}}
Globals: {Function: {Environment: {Variables: {TABLE: !Ref T}}}}
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties: {KeySchema: [{AttributeName: k}], TimeToLiveSpecification: {AttributeName: t}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/some-function/
      Environment: {Variables: {FROM: !Ref From}}
      Events: {R: {Type: HttpApi, Properties: {Method: post, Path: '/a/{b}'}}}
",
        )
        .unwrap();
        let [function] = &template.functions[..] else { panic!("{template:?}") };
        assert_eq!(function.name, "some-function");
        let route = Route { method: "POST".into(), path: "/a/{b}".into() };
        assert_eq!(function.routes, [route]);
        assert_eq!(function.environment["TABLE"], "T");
        assert_eq!(function.environment["FROM"], "a@example.com");
        let table = Table { name: "T".into(), keys: vec!["k".into()], ttl: Some("t".into()) };
        assert_eq!(template.tables, [table]);
    }
}
