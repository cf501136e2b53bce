//! `passcode local`: the whole stack in one process, on loopback. The API on the first port, the
//! DynamoDB protocol on the second, the wire protocols of SNS, SES and Secrets Manager on the third.

mod api;
mod banner;
mod clock;
mod demo;
mod docs;
mod event;
mod functions;
mod inbox;
mod issuer;
mod secret;
mod sink;
mod tables;

pub use clock::LocalClock;
pub use functions::Handler;
pub use inbox::Message;

use crate::template::{self, Template};
use inbox::Inbox;
use passcode_runtime::{Observed, Settings};
use secret::LocalSecret;
use std::{
    collections::BTreeMap,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpListener;

/// What can be chosen.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The port of the API; DynamoDB and the sink take the next two.
    #[arg(long, value_name = "N", default_value_t = 9000)]
    pub port: u16,
    /// Forget everything on exit, instead of keeping it under `.local/`.
    #[arg(long)]
    pub memory: bool,
    /// Print each request's log line as functions do, in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where a request's observation goes.
pub type Observer = Arc<dyn Fn(&str, &Observed) + Send + Sync>;

/// What serves a function's events: on a running stack, by the function's name.
pub type ServeBy = dyn Fn(&Stack, &str) -> Result<Handler, String>;

/// Runs the stack until it is interrupted.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(async {
        let path = template::find(&std::env::current_dir()?)?;
        let folder = path.parent().unwrap_or(Path::new(".")).join(".local");
        let home = (!options.memory).then_some(folder);
        let listeners = bind(options.port).await?;
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

/// Takes the three ports, all or none.
async fn bind(first: u16) -> Result<[TcpListener; 3], Box<dyn Error>> {
    let mut listeners = Vec::new();
    for offset in 0..3 {
        let port = first.checked_add(offset).filter(|port| *port > 0);
        let port = port.ok_or("--port must be 1 to 65533")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
            let free = if first < 60_000 { first + 100 } else { 9100 };
            format!("port {port} cannot be used ({error}); try --port {free}")
        })?;
        listeners.push(listener);
    }
    listeners.try_into().map_err(|_| "three ports were asked for".into())
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
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listeners = [free().await?, free().await?, free().await?];
        Self::start(template, listeners, None, observer, serve_by).await
    }

    async fn start(
        template: &Template,
        [api, dynamodb, sink]: [TcpListener; 3],
        home: Option<&Path>,
        observer: Observer,
        serve_by: &ServeBy,
    ) -> Result<Self, Box<dyn Error>> {
        let url = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("http://{address}"))
        };
        let mut stack = Self {
            api: url(&api)?,
            dynamodb: url(&dynamodb)?,
            sink: url(&sink)?,
            clock: LocalClock::default(),
            template: template.clone(),
            servers: Vec::new(),
        };
        let database = tables::open(home, template)?;
        let inbox = Inbox::new(stack.clock.clone());
        let routes = api::routes(&stack, inbox.clone(), &observer, serve_by)?;
        let sink_routes = sink::routes(inbox, LocalSecret::load(home)?);
        stack.servers.push(tokio::spawn(dynoxide::server::serve_on(dynamodb, database)));
        stack.serve(sink, sink_routes);
        demo::create(&stack).await?;
        // Last: until now, whoever calls the API waits in its listener's queue, and is answered with
        // everything in place.
        stack.serve(api, routes);
        Ok(stack)
    }

    fn serve(&mut self, listener: TcpListener, routes: axum::Router) {
        self.servers.push(tokio::spawn(async move {
            if let Err(error) =
                axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
                    .await
            {
                eprintln!("passcode: {error}");
            }
        }));
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
            demo::CLIENT_ID.clone_into(app);
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
    async fn a_port_in_use_is_one_line_that_says_what_to_do() {
        let taken = free_port().await;
        let port = taken.local_addr().expect("an address").port();
        let error = bind(port).await.expect_err("it is taken").to_string();
        assert!(error.starts_with(&format!("port {port} cannot be used")), "{error}");
        assert!(error.contains("try --port") && !error.contains('\n'), "{error}");
        assert_eq!(bind(0).await.expect_err("no port").to_string(), "--port must be 1 to 65533");
    }

    #[tokio::test]
    async fn a_request_made_before_the_demo_data_exists_is_answered_as_one_made_after() {
        let path = template::find(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("template.yaml");
        let template = template::read(&path).expect("template.yaml is good");
        let listeners = [free_port().await, free_port().await, free_port().await];
        let api = listeners[0].local_addr().expect("an address");
        let mut client = TcpStream::connect(api).await.expect("connected");
        let request = format!(
            "POST /auth/v1/create HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\nclientId: {}\r\n\
             clientSecret: {}\r\ncontent-length: 27\r\n\r\n{{\"email\":\"ada@example.com\"}}",
            demo::CLIENT_ID,
            demo::CLIENT_SECRET,
        );
        client.write_all(request.as_bytes()).await.expect("sent");
        let observer: Observer = Arc::new(|_, _| ());
        let serve_by = &functions::in_process;
        let stack = Stack::start(&template, listeners, None, observer, serve_by).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stack.expect("started");
    }

    async fn free_port() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port")
    }
}
