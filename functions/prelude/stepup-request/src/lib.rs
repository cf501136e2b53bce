//! `POST /v1/session/stepup/request`: a signed-in user asks for a scope, and gets the challenge token
//! that a code turns into the proof.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, Addresses, App, AppId, Channel, SigningKeys,
    app::{self, StepUp},
    challenge::Lookup,
    open::{self, Open, Opened},
    ports::{
        Bearer, Clock, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadSigningKeys, LoadUsers,
        ReadTokens, StoreLedgers, TokenError,
    },
    proof::{ChallengeToken, TOKEN_LIFE},
    transact::Ports,
    user::User,
};
use passcode_http::{Answer, Media, Record, Request, body, tenant, with_idempotency};
use prelude_contract::{self as prelude, ErrorBody, Refusal, with_browser_routes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{Object, ObjectBuilder, Type, schema::SchemaType},
};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// How many of the caller's own texts there may be, the longest name of one, the longest text, and
/// the text that may be longer. Lengths are in characters.
const MAX_METADATA: usize = 5;
const MAX_NAME: usize = 12;
const MAX_METADATUM: usize = 32;
const LONG_METADATA: (&str, usize) = ("identifier", 320);

/// What the user wants.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludeStepUpRequest)]
pub struct StepUpRequest {
    /// The scope.
    #[schema(
        example = "transfer",
        pattern = "^[a-zA-Z0-9.\\-_:]+$",
        min_length = 1,
        max_length = 128
    )]
    scope: String,
    /// The caller's own data: at most 5 texts of at most 32 characters, with names of at most 12;
    /// `identifier` may have 320. It comes back in the challenge token and is kept nowhere.
    #[schema(schema_with = metadata)]
    metadata: Option<BTreeMap<String, String>>,
    /// What the front-end SDK knows its signals by. Nothing of it is kept.
    #[expect(dead_code, reason = "its type is checked, and nothing of it is kept")]
    dispatch_id: Option<String>,
}

fn metadata() -> Object {
    let what =
        "The caller's own data: a few short texts by name. It comes back in the challenge token.";
    let text = |length| ObjectBuilder::new().schema_type(Type::String).max_length(Some(length));
    ObjectBuilder::new()
        .description(Some(what))
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .max_properties(Some(MAX_METADATA))
        .property_names(Some(text(MAX_NAME)))
        .property(LONG_METADATA.0, text(LONG_METADATA.1))
        .additional_properties(Some(text(MAX_METADATUM)))
        .build()
}

/// What comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeStepUpResponse)]
pub struct StepUpResponse {
    /// Whether a code decides, or nothing can be done.
    status: Status,
    /// What the code is asked for with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9...")]
    challenge_token: Option<String>,
}

/// The contract's `continue` does not occur: a scope that needs no code is not asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PreludeStatus)]
pub enum Status {
    /// A code decides.
    Review,
    /// The user has no address that the code could go to.
    Block,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/session/stepup/request",
    operation_id = "prelude-stepup-request",
    tag = "Prelude",
    summary = "Ask for a scope",
    request_body = StepUpRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "What comes of it", body = StepUpResponse),
        (status = 400, description = "`bad_request` or `not_configured`", body = ErrorBody),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
        (status = 403, description = "`scope_not_allowed`, `auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 429, description = "`rate_limited`: open challenges", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<A, U, T, L, K, G, C, E>(
    deps: &Deps<A, U, T, L, K, G, C, E>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
{
    match prelude::admit(&request, &deps.apps, deps.default_app.as_ref()).await {
        Err(answer) => answer,
        Ok(visitor) => {
            let answer = step_up(deps, &request, &visitor.app).await;
            visitor.show(answer.unwrap_or_else(|answer| answer))
        }
    }
}

async fn step_up<A, U, T, L, K, G, C, E>(
    deps: &Deps<A, U, T, L, K, G, C, E>,
    request: &Request,
    app: &App,
) -> Result<Answer, Answer>
where
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
{
    let record = Record::default().app(&app.id);
    let bearer = bearer(deps, request, app, &record).await?;
    let body: StepUpRequest = body(request, &[Media::Json])
        .await
        .map_err(|error| Refusal::from(&error).answer(record.clone()))?;
    let step_up = check(&body, app).map_err(|refusal| refusal.answer(record.clone()))?;
    let user = deps.users.load_user(&app.id, &bearer.user).await;
    let user = user.map_err(|error| prelude::storeless(&error, record.clone()))?;
    let Some(address) = user.and_then(|user| registered(user, step_up.channel)) else {
        let record = Record { outcome: "block", ..record };
        return Ok(respond(Status::Block, None, record));
    };
    let keyring = deps.keyring.keyring().await;
    let keyring = keyring.map_err(|cause| prelude::keyless(&cause, record.clone()))?;
    let signing = deps.signing.signing_keys().await;
    let signing = signing.map_err(|cause| prelude::keyless(&cause, record.clone()))?;
    let addresses = Addresses::new(address, None);
    let open = Open::new(app, &keyring, &deps.entropy, addresses, TOKEN_LIFE);
    let open = open.found_by(Lookup::User).for_scope(&body.scope);
    let record = record.challenge(open.id);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work = async {
        match open::open(ports, app, &open).await {
            Ok(Opened::Opened) => {
                let (now, scope) = (deps.clock.now(), (body.scope.as_str(), step_up));
                let token = ChallengeToken::for_step_up(&app.id, &bearer, open.id, scope, now)
                    .with_metadata(body.metadata.unwrap_or_default());
                signed(&signing, &token, record)
            }
            Ok(Opened::TooMany(room_at)) => {
                let wait = deps.clock.now().until(room_at);
                Refusal::RateLimited(Some(wait)).answer(record)
            }
            Err(failure) => prelude::failed(&failure, record),
        }
    };
    let user = Some(bearer.user.as_str());
    Ok(prelude::idempotent(request, app, user).run(&keyring, ports, work).await)
}

/// Who asks, by the app's issuer.
async fn bearer<A, U, T, L, K, G, C, E>(
    deps: &Deps<A, U, T, L, K, G, C, E>,
    request: &Request,
    app: &App,
    record: &Record,
) -> Result<Bearer, Answer>
where
    T: ReadTokens,
    C: Clock,
{
    let refuse = |refusal: Refusal| refusal.answer(record.clone());
    if app.blocked {
        return Err(refuse(Refusal::AuthBlocked));
    }
    let issuer = app.issuer.as_ref().ok_or_else(|| refuse(Refusal::NotConfigured))?;
    let token = tenant::bearer_token(request).ok_or_else(|| refuse(Refusal::Unauthorized))?;
    match deps.tokens.read_token(issuer, token, deps.clock.now()).await {
        Ok(bearer) => Ok(bearer),
        Err(error @ TokenError::Invalid(_)) => {
            Err(Refusal::Unauthorized.answer(record.clone().error(&error)))
        }
        Err(TokenError::Unavailable(cause)) => Err(prelude::keyless(&cause, record.clone())),
    }
}

fn check<'a>(body: &StepUpRequest, app: &'a App) -> Result<&'a StepUp, Refusal> {
    let bad = |what: &'static str| Err(Refusal::BadRequest(what.into()));
    if !app::is_scope(&body.scope) {
        return bad("`scope` must be 1 to 128 letters, digits, `.`, `-`, `_` or `:`");
    }
    let metadata = body.metadata.iter().flatten();
    let fits = |(name, value): (&String, &String)| {
        let longest = if name == LONG_METADATA.0 { LONG_METADATA.1 } else { MAX_METADATUM };
        name.chars().count() <= MAX_NAME && value.chars().count() <= longest
    };
    if metadata.clone().count() > MAX_METADATA || !metadata.clone().all(fits) {
        return bad("`metadata` has too many or too long entries");
    }
    if app.step_up.is_empty() {
        return Err(Refusal::NotConfigured);
    }
    app.step_up.get(&body.scope).ok_or(Refusal::ScopeNotAllowed)
}

fn registered(user: User, channel: Channel) -> Option<Address> {
    match channel {
        Channel::Sms => user.phone.map(Address::Phone),
        Channel::Email => user.email.map(Address::Email),
        Channel::Caller => None,
    }
}

fn signed(keys: &SigningKeys, token: &ChallengeToken, record: Record) -> Answer {
    match passcode_jwt::sign(keys, token) {
        Ok(token) => respond(Status::Review, Some(token), Record { outcome: "created", ..record }),
        Err(error) => prelude::keyless(&error.into(), record),
    }
}

fn respond(status: Status, challenge_token: Option<String>, record: Record) -> Answer {
    Answer::json(StatusCode::OK, &StepUpResponse { status, challenge_token }, record)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_browser_routes(with_idempotency(Api::openapi(), "PreludeError"), None)
}
