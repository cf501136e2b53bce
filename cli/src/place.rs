//! The stack whose apps, users and keys a command administers: the local one, or a deployed one.

use crate::local::Stack;
use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use passcode_domain::ports::StoreError;
use passcode_runtime::{Settings, aws};
use std::error::Error;

/// The stack.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The name of a deployed stack. Credentials and region are read from the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`). To use a
    /// profile: eval "$(aws configure export-credentials --format env)".
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "port")]
    stack: Option<String>,
    /// The first port of the local stack.
    #[arg(long, value_name = "N", global = true, default_value_t = 9000)]
    port: u16,
    #[arg(skip)]
    running: Option<Settings>,
}

impl Place {
    /// A local stack that runs in this process.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self { stack: None, port: 0, running: Some(stack.settings("")) }
    }

    /// The name of the deployed stack; `None` for the local one.
    pub(crate) fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    /// The AWS configuration for the stack.
    pub fn aws(&self) -> Result<SdkConfig, Box<dyn Error>> {
        let settings = match (&self.running, &self.stack) {
            (Some(running), _) => running.clone(),
            (None, Some(_)) => Settings::from_env(),
            (None, None) => local(self.port)?,
        };
        Ok(aws::config(&settings)?)
    }

    /// The name of a table, given its logical id. AWS names a table after the stack and
    /// the id, and adds random letters.
    pub async fn table(&self, aws: &SdkConfig, id: &str) -> Result<String, Box<dyn Error>> {
        let Some(stack) = &self.stack else { return Ok(id.to_owned()) };
        let prefix = format!("{stack}-{id}-");
        let mut pages = Client::new(aws).list_tables().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| passcode_aws::CallFailed::of(&error))?;
            let mut names = page.table_names.unwrap_or_default().into_iter();
            if let Some(name) = names.find(|name| name.starts_with(&prefix)) {
                return Ok(name);
            }
        }
        Err(format!("no table is named {prefix}…; is `{stack}` deployed in this region?").into())
    }

    /// The message for an error of the store, with its cause and what to check.
    pub(crate) fn explain(&self, error: &StoreError) -> String {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}; {}", self.hint())
    }

    /// What to check if the stack does not answer.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.stack {
            Some(_) => "check credentials, region and permissions",
            None => "is `cargo local` running?",
        }
    }
}

fn local(port: u16) -> Result<Settings, &'static str> {
    let at = |offset: u16| {
        let port = port.checked_add(offset).ok_or("--port must be 1 to 65533")?;
        Ok::<_, &str>(format!("http://127.0.0.1:{port}"))
    };
    let (dynamodb, sink) = (at(1)?, at(2)?);
    Ok(Settings::new(move |name| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.clone()),
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some(sink.clone()),
        _ => None,
    }))
}
