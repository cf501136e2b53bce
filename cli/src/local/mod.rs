//! `passcode local`: the whole stack in one process, on loopback and where `--listen` says. The API
//! on the first port, the DynamoDB protocol on the second, the wire protocols of SNS, SES and
//! Secrets Manager on the third.

mod api;
mod banner;
mod clock;
mod demo;
mod docs;
mod event;
mod functions;
mod inbox;
mod issuer;
mod listen;
mod receipts;
mod secret;
mod sign_in;
mod sink;
mod tables;

pub use clock::LocalClock;
pub use functions::{Deployable, FUNCTIONS, Handler, in_process_with};
pub use inbox::Message;
pub use receipts::{receipt_of_email, receipt_of_text};

use crate::template::{self, Template};
use inbox::Inbox;
use listen::Listeners;
use passcode_demo::CLIENT_ID;
use passcode_runtime::{Observed, Settings};
use secret::LocalSecrets;
use std::{
    collections::BTreeMap,
    error::Error,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpListener;

/// The options of `passcode local`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The port of the API. DynamoDB, and the stand-in for SNS, SES and Secrets Manager, use the next
    /// two ports.
    #[arg(long, value_name = "N", default_value_t = 9000)]
    pub port: u16,
    /// Listen on this address in addition to loopback. Containers reach the stack at the address of
    /// Docker's bridge (172.17.0.1). Whoever can connect can read codes and the keyring.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<IpAddr>,
    /// Keep all data in memory instead of the folder `.local/`, and lose it on exit.
    #[arg(long)]
    pub memory: bool,
    /// Print the log line of each request in JSON, as the deployed functions do.
    #[arg(long)]
    pub json: bool,
}

/// Receives the route and the observation of each request.
pub type Observer = Arc<dyn Fn(&str, &Observed) + Send + Sync>;

/// Makes the handler of a function, given the running stack and the name of the function.
pub type ServeBy = dyn Fn(&Stack, &str) -> Result<Handler, String>;

/// Runs the stack until it is interrupted.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(async {
        let path = template::find(&std::env::current_dir()?)?;
        let folder = path.parent().unwrap_or(Path::new(".")).join(".local");
        let home = (!options.memory).then_some(folder);
        let listeners = Listeners::bind(options.port, options.listen).await?;
        let observer = if options.json { banner::json_line() } else { banner::short_line() };
        let stack = Stack::start(
            &template::read(&path)?,
            listeners,
            home.as_deref(),
            observer,
            &functions::in_process,
        )
        .await?;
        banner::print(&stack, home.as_deref());
        tokio::signal::ctrl_c().await?;
        println!("\nStopped.");
        Ok::<_, Box<dyn Error>>(())
    });
    // Connections that are still open (the inbox page keeps one) must not hold up the end.
    runtime.shutdown_background();
    result
}

/// A running stack. It stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// Where the API is.
    pub api: String,
    /// Where DynamoDB is.
    pub dynamodb: String,
    /// Where SNS, SES and Secrets Manager are.
    pub sink: String,
    /// The product's clock.
    pub clock: LocalClock,
    address: Option<IpAddr>,
    template: Template,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Stack {
    /// Starts a stack in memory on three free ports.
    pub async fn in_memory(
        template: &Template,
        observer: Observer,
    ) -> Result<Self, Box<dyn Error>> {
        Self::in_memory_with(template, observer, &functions::in_process).await
    }

    /// The same, with functions that run elsewhere.
    pub async fn in_memory_with(
        template: &Template,
        observer: Observer,
        serve_by: &ServeBy,
    ) -> Result<Self, Box<dyn Error>> {
        Self::start(template, Listeners::free().await?, None, observer, serve_by).await
    }

    async fn start(
        template: &Template,
        listeners: Listeners,
        home: Option<&Path>,
        observer: Observer,
        serve_by: &ServeBy,
    ) -> Result<Self, Box<dyn Error>> {
        let [api, dynamodb, sink] = listeners.urls()?;
        let mut stack = Self {
            api,
            dynamodb,
            sink,
            address: listeners.address,
            clock: LocalClock::default(),
            template: template.clone(),
            servers: Vec::new(),
        };
        let database = tables::open(home, template)?;
        let inbox = Inbox::new(stack.clock.clone());
        let routes = api::routes(&stack, inbox.clone(), &observer, serve_by)?;
        let secrets = LocalSecrets::load(home)?;
        let sink_routes = sink::routes(inbox, secrets, stack.outputs(), stack.address);
        for listener in listeners.dynamodb {
            let server = dynoxide::server::serve_on(listener, database.clone());
            stack.servers.push(tokio::spawn(server));
        }
        stack.serve(listeners.sink, &sink_routes);
        demo::create(&stack).await?;
        // Last: until now, whoever calls the API waits in its listener's queue, and is answered
        // with everything in place.
        stack.serve(listeners.api, &routes);
        Ok(stack)
    }

    fn serve(&mut self, listeners: Vec<TcpListener>, routes: &axum::Router) {
        for listener in listeners {
            let service = routes.clone().into_make_service_with_connect_info::<SocketAddr>();
            self.servers.push(tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, service).await {
                    eprintln!("passcode: {error}");
                }
            }));
        }
    }

    /// The settings of a function on this machine: what the template gives it, and what Lambda
    /// would add. They serve `sam local` and `cargo lambda watch` as well.
    #[must_use]
    pub fn settings(&self, function: &str) -> Settings {
        let variables = self.environment(function);
        Settings::new(move |name| variables.get(name).cloned())
    }

    /// The same as a map.
    #[must_use]
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        let functions = &self.template.functions;
        let own = functions.iter().find(|candidate| candidate.name == function);
        let mut variables = own.map(|own| own.environment.clone()).unwrap_or_default();
        if let Some(app) = variables.get_mut("DEFAULT_APP") {
            CLIENT_ID.clone_into(app);
        }
        // There is a receipt of any message in the inbox: see `receipts`.
        if let Some(receipts) = variables.get_mut("SMS_RECEIPTS") {
            "local".clone_into(receipts);
        }
        let aws = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb),
            ("AWS_ENDPOINT_URL_SNS", &self.sink),
            ("AWS_ENDPOINT_URL_SESV2", &self.sink),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.sink),
        ];
        variables.extend(aws.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }

    /// What the outputs of the template say of a deployed stack: tables and secrets have their logical ids
    /// for names, and `*` in the host of the API stands for an app's id.
    fn outputs(&self) -> BTreeMap<String, String> {
        let tables = self.template.tables.iter().map(|table| &*table.name);
        let named = tables.chain(["KeyringSecret", "SigningSecret"]);
        let outputs = named.map(|id| (id.to_owned(), id.to_owned()));
        let url = self.api.replace("127.0.0.1", "*.localhost");
        outputs.chain([("ApiUrl".to_owned(), url)]).collect()
    }

    fn table(&self, name: &str) -> Result<String, Box<dyn Error>> {
        let tables = &self.template.tables;
        let known = tables.iter().any(|table| table.name == name);
        known
            .then(|| name.to_owned())
            .ok_or_else(|| format!("template.yaml: {name} is missing").into())
    }
}

fn in_home(home: Option<&Path>, file: &str) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let Some(home) = home else { return Ok(None) };
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    Ok(Some(home.join(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    #[tokio::test]
    async fn a_request_made_before_the_demo_data_exists_is_answered_as_one_made_after() {
        let listeners = Listeners::free().await.expect("free ports");
        let api = listeners.api[0].local_addr().expect("an address");
        let mut client = TcpStream::connect(api).await.expect("connected");
        let request = format!(
            "POST /auth/v1/create HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\nclientId: {}\r\n\
             clientSecret: {}\r\ncontent-length: 27\r\n\r\n{{\"email\":\"ada@example.com\"}}",
            CLIENT_ID,
            passcode_demo::CLIENT_SECRET,
        );
        client.write_all(request.as_bytes()).await.expect("sent");
        let stack = start(listeners).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        drop(stack);
    }

    async fn start(listeners: Listeners) -> Stack {
        let path = template::find(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("template.yaml");
        let template = template::read(&path).expect("template.yaml is good");
        let observer: Observer = Arc::new(|_, _| ());
        let stack = Stack::start(&template, listeners, None, observer, &functions::in_process);
        stack.await.expect("the stack starts")
    }

    /// The status of a request to a port of the stack's, under a name of the caller's.
    async fn status(url: &str, path: &str, host: &str) -> String {
        let address = url.strip_prefix("http://").expect("a URL");
        let mut client = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    }

    #[tokio::test]
    async fn an_address_that_is_listened_on_is_a_name_of_the_stack_and_no_other_is() {
        let bridge = IpAddr::from([172, 17, 0, 1]);
        for (address, expected) in [(None, "403"), (Some(bridge), "200")] {
            let free = Listeners::free().await.expect("free ports");
            let stack = start(Listeners { address, ..free }).await;
            assert_eq!(status(&stack.api, "/_local/messages", "172.17.0.1:9000").await, expected);
            // The sink refuses a GET without a body, but only after it has looked at the name.
            let expected = expected.replace("200", "400");
            assert_eq!(status(&stack.sink, "/", "172.17.0.1:9002").await, expected);
            for host in ["evil.example", "172.17.0.2:9000", "172.17.0.1.evil.example"] {
                assert_eq!(status(&stack.api, "/_local/messages", host).await, "403", "{host}");
                assert_eq!(status(&stack.sink, "/", host).await, "403", "{host}");
            }
        }
    }
}
