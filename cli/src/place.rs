//! The stack whose apps, users and keys a command administers: the local one, or a deployed one.

use crate::local::Stack;
use aws_sdk_cloudformation::Client;
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::ports::StoreError;
use passcode_runtime::{Settings, aws};
use std::{collections::BTreeMap, error::Error};
use tokio::sync::OnceCell;

/// The stack.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// A deployed stack, by its name. Its tables and secrets are those that its outputs name
    /// (cloudformation:DescribeStacks). Credentials and region come from the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`); for a
    /// profile: eval "$(aws configure export-credentials --format env)".
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "port")]
    stack: Option<String>,
    /// The first port of the local stack.
    #[arg(long, value_name = "N", global = true, default_value_t = 9000)]
    port: u16,
    #[arg(skip)]
    running: Option<Settings>,
    /// The deployed stack, once it has been read.
    #[arg(skip)]
    deployed: OnceCell<Deployed>,
}

/// What AWS tells of a deployed stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Its status, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Place {
    /// A local stack that runs in this process.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self { stack: None, port: 0, running: Some(stack.settings("")), deployed: OnceCell::new() }
    }

    /// A deployed stack, by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let stack = Some(name.to_owned());
        Self { stack, port: 0, running: None, deployed: OnceCell::new() }
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

    /// The name of a table or secret of the stack, given its logical id: on a deployed stack the
    /// output of that name, on the local stack the id itself.
    pub async fn resource(&self, aws: &SdkConfig, id: &str) -> Result<String, Box<dyn Error>> {
        let Some(stack) = &self.stack else { return Ok(id.to_owned()) };
        let failed = |cause| {
            format!(
                "CloudFormation: {cause}; is `{stack}` deployed in this region? Else {}",
                self.hint()
            )
        };
        let deployed = self.deployed(aws, stack).await.map_err(failed)?;
        let missing =
            || format!("the stack `{stack}` has no output {id}; it is none of Passcode's");
        Ok(deployed.outputs.get(id).cloned().ok_or_else(missing)?)
    }

    /// The name of the deployed stack, if it is one.
    pub(crate) fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    /// The deployed stack.
    pub(crate) async fn deployed(
        &self,
        aws: &SdkConfig,
        stack: &str,
    ) -> Result<&Deployed, CallFailed> {
        self.deployed.get_or_try_init(|| read(aws, stack)).await
    }

    /// Whether this is a deployed stack without such an output.
    pub(crate) async fn lacks_output(&self, aws: &SdkConfig, id: &str) -> bool {
        self.stack.is_some() && self.resource(aws, id).await.is_err()
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

async fn read(aws: &SdkConfig, stack: &str) -> Result<Deployed, CallFailed> {
    let answer = Client::new(aws).describe_stacks().stack_name(stack).send().await;
    let stacks = answer.map_err(|error| CallFailed::of(&error))?.stacks.unwrap_or_default();
    let mut deployed = Deployed::default();
    for stack in stacks {
        if let Some(status) = stack.stack_status {
            status.as_str().clone_into(&mut deployed.status);
        }
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        deployed.outputs.extend(outputs.filter_map(|it| Some((it.output_key?, it.output_value?))));
        let parameters = stack.parameters.unwrap_or_default().into_iter();
        deployed
            .parameters
            .extend(parameters.filter_map(|it| Some((it.parameter_key?, it.parameter_value?))));
    }
    Ok(deployed)
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
