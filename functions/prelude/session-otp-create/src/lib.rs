//! `POST /v1/session/otp`: a code goes out, for an identifier or for a challenge token, and the
//! browser gets the verification token that leads back to it.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, Addresses, App, ChallengeId, EmailAddress, Keyring, Lookup, PhoneNumber, SigningKeys,
    Timestamp, World,
    action::{
        open::Open,
        send::{self, SendOptions, SendTarget, SendWorld},
    },
    ports::{Clock as _, LoadKeyring, LoadSigningKeys},
    secret::{
        pkce::CodeChallenge,
        token::{Flow, VerificationToken},
    },
};
use passcode_http::{
    Answer, Begun, Media, Record, Request, Way, body, object, peer_origin, with_choice,
    with_idempotency,
};
use prelude_contract::{self as prelude, ChallengeLost, Error, ErrorBody, with_browser_routes};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// How long a challenge without a challenge token lives.
const LIFE: Duration = Duration::from_mins(15);

/// Where the code shall go: an identifier, or the challenge token of a step-up.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludeCreateRequest)]
pub struct CreateRequest {
    /// Who shall be verified. Without `challenge_token`.
    #[serde(default, deserialize_with = "object")]
    identifier: Option<Identifier>,
    /// What `stepup/request` answered. Without `identifier`.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9...")]
    challenge_token: Option<String>,
    /// What the front-end SDK knows its signals by. Nothing of it is kept.
    #[expect(dead_code, reason = "its type is checked, and nothing of it is kept")]
    #[schema(example = "123e4567-e89b-12d3-a456-426614174000")]
    dispatch_id: Option<String>,
    /// The SHA-256 of a secret that the session to come is bound to (PKCE, S256): `login/finalize` then asks for
    /// the secret. With `identifier`.
    #[schema(
        example = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"
    )]
    code_challenge: Option<String>,
    /// The id of one of the app's templates.
    #[schema(example = "lcfg_01jqebhswje1ka1z7ahr9rfsgt")]
    login_config_id: Option<String>,
}

/// A phone number or an e-mail address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
#[schema(as = PreludeIdentifier)]
pub enum Identifier {
    /// In E.164 form.
    PhoneNumber(Phone),
    /// A bare address.
    EmailAddress(Email),
}

/// A phone number in E.164 form.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludePhone, example = "+14155550100", pattern = "^\\+[ .()-]*([0-9][ .()-]*){7,}$", max_length = 33)]
pub struct Phone(String);

/// An e-mail address.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludeEmail, example = "ada@example.com", format = "email", max_length = 320)]
pub struct Email(String);

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/session/otp",
    operation_id = "prelude-session-otp-create",
    tag = "Prelude",
    summary = "Send a code to a browser's user",
    params(
        ("Passcode-Device" = Option<String>, Header, description = "What a successful check answered in this browser; the cookie's where absent. With it, locks, cool-downs and counts are those of known devices and not of strangers"),
    ),
    request_body = CreateRequest,
    responses(
        (status = 204, description = "On its way, or so it shall seem (`conceal_blocks`)", headers(
            ("Set-Cookie" = String, description = "`__verification-login_{app_id}`: the verification token"),
            ("X-Verification-Token" = String, description = "The same token"),
        )),
        (status = 400, description = "`bad_request`, `expired_challenge_token`, `invalid_challenge_token` or `token_mismatch`", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 429, description = "`rate_limited`: cool-down, send count or open challenges", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was sent; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring, SigningKeys: LoadSigningKeys>,
{
    let began = world.clock().now();
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = create(world, request, &caller.app, began, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn create<W>(
    world: &W,
    request: &Request,
    app: &Arc<App>,
    began: Timestamp,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring, SigningKeys: LoadSigningKeys>,
{
    let body: CreateRequest = body(request, &[Media::Json]).await?;
    let keyring = world.keyring().keyring().await?;
    let plan = plan(world, request, &body, app, &keyring).await?;
    let token = plan.token();
    record.challenge(token.id, &keyring);
    let credential = body.challenge_token.as_deref();
    let pending =
        match prelude::idempotent(request, app, credential).begin(world, &keyring, record).await? {
            Begun::Proceed(pending) => pending,
            Begun::Answered(answer) => return Ok(answer),
        };
    // The challenge knows its one address, and so its channel.
    let options = SendOptions { origin: peer_origin(request), ..SendOptions::default() };
    let sent = Box::pin(send(world, app, &keyring, &plan, &options, record)).await;
    prelude::even_out(world, app, began).await;
    let answered =
        sent.map(|()| prelude::issue(Answer::empty(StatusCode::NO_CONTENT), app, &keyring, &token));
    Ok(pending.settle(world, answered, record).await)
}

async fn send<W>(
    world: &W,
    app: &Arc<App>,
    keyring: &Keyring,
    plan: &Plan,
    options: &SendOptions,
    record: &mut Record,
) -> Result<(), Error>
where
    W: SendWorld,
{
    let target = match plan {
        Plan::New(open, _) => SendTarget::Ordered(open, app),
        Plan::Step(id) => SendTarget::Existing(*id, Some(app)),
    };
    let delivery = send::send(world, keyring, target, options).await?;
    let lost = ChallengeLost {
        missing: Error::InvalidChallengeToken,
        expired: Error::ExpiredChallengeToken,
    };
    prelude::sent(delivery, lost, world.clock().now(), keyring, record)
}

/// What a request asks for: a new challenge, or the next message of one that a token tells of.
enum Plan {
    New(Box<Open>, Option<CodeChallenge>),
    Step(ChallengeId),
}

impl Plan {
    /// What the browser gets.
    const fn token(&self) -> VerificationToken {
        match self {
            Self::New(open, code_challenge) => VerificationToken {
                id: open.id,
                flow: Flow::Standalone,
                code_challenge: *code_challenge,
            },
            Self::Step(id) => VerificationToken::new(*id, Flow::StepUp),
        }
    }
}

async fn plan<W>(
    world: &W,
    request: &Request,
    body: &CreateRequest,
    app: &App,
    keyring: &Keyring,
) -> Result<Plan, Error>
where
    W: World<SigningKeys: LoadSigningKeys>,
{
    let template = body.login_config_id.as_ref();
    if template.is_some_and(|id| !app.templates.contains_key(id)) {
        return Err(Error::BadRequest("`login_config_id` is not known".into()));
    }
    match (&body.identifier, &body.challenge_token) {
        (Some(identifier), None) => {
            let addresses = Addresses::new(address(identifier)?, None);
            let open = Open::new(app, keyring, world.entropy(), addresses, LIFE)
                .with_template(template.cloned());
            let (subject, now) = (*open.id.subject(), world.clock().now());
            let is_known = prelude::is_known_device(request, app, keyring, subject, now);
            let lookup = if is_known { Lookup::Device } else { Lookup::Anonymous };
            Ok(Plan::New(Box::new(open.found_by(lookup)), code_challenge(body)?))
        }
        (None, Some(text)) => {
            let now = world.clock().now();
            let read = |keys: &SigningKeys| step(text, app, keyring, keys, now);
            let (_, id) = prelude::verified_signature(world, read).await?;
            Ok(Plan::Step(id))
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Error::BadRequest("give either `identifier` or `challenge_token`".into()))
        }
    }
}

/// What the session to come shall be bound to, if the client has asked for that.
fn code_challenge(body: &CreateRequest) -> Result<Option<CodeChallenge>, Error> {
    let challenge = body.code_challenge.as_ref().map(|text| text.parse());
    let challenge: Result<Option<CodeChallenge>, _> = challenge.transpose();
    challenge.map_err(|error| Error::BadRequest(format!("`code_challenge`: {error}").into()))
}

/// The challenge that a challenge token of this app tells of.
fn step(
    text: &str,
    app: &App,
    keyring: &Keyring,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<ChallengeId, Error> {
    let token = passcode_jwt::read(keys, text).map_err(|_| Error::InvalidChallengeToken)?;
    token.validate(&app.id, now)?;
    token.challenge(keyring).ok_or(Error::InvalidChallengeToken)
}

fn address(identifier: &Identifier) -> Result<Address, Error> {
    let address = match identifier {
        Identifier::PhoneNumber(Phone(text)) => PhoneNumber::parse(text).map(Address::Phone),
        Identifier::EmailAddress(Email(text)) => EmailAddress::parse(text).map(Address::Email),
    };
    address.map_err(|error| Error::BadRequest(format!("`identifier.value`: {error}").into()))
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let ways: [Way<'_>; 2] =
        [("identifier", &["challenge_token"]), ("challenge_token", &["identifier"])];
    let api = with_choice(Api::openapi(), "PreludeCreateRequest", &ways);
    let api = with_idempotency(api, "PreludeError");
    with_browser_routes(api, Some("/v1/session/login/otp"))
}
