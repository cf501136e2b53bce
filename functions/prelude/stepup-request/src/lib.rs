//! `POST /v1/session/stepup/request`: a signed-in user asks for a scope, and gets the challenge token
//! that a code turns into the proof.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, Addresses, App, Channel, Keyring, Lookup, Session, User, World,
    action::{
        open::{self, Open},
        session as sessions,
    },
    app::{self, StepUp},
    ports::{
        Clock as _, LoadApps, LoadKeyring, LoadLedgers, LoadSessions, LoadSigningKeys, LoadUsers,
        ReadTokens, StoreLedgers, TokenError,
    },
    secret::{
        dpop::Thumbprint,
        proof::{Bearer, ChallengeToken, TOKEN_LIFE},
    },
};
use passcode_http::{Answer, Begun, Media, Record, Request, body, tenant, with_idempotency};
use prelude_contract::{self as prelude, Error, ErrorBody, dpop, session, with_browser_routes};
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
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the key of the session. One that is there must be valid"),
    ),
    request_body = StepUpRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "What comes of it", body = StepUpResponse),
        (status = 400, description = "`bad_request`, `invalid_metadata`, `not_configured`, `invalid_dpop_proof` or `dpop_key_mismatch`", body = ErrorBody),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
        (status = 403, description = "`scope_not_allowed`, `auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Users: LoadUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Sessions: LoadSessions,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = step_up(world, request, &caller.app, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn step_up<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<
            Users: LoadUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Sessions: LoadSessions,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    if app.blocked {
        return Err(Error::AuthBlocked);
    }
    let keyring = world.keyring().keyring().await?;
    let user = user(world, request, app, &keyring, record).await?;
    let body: StepUpRequest = body(request, &[Media::Json]).await?;
    let step_up = check(&body, app)?;
    let bearer = user.bearer();
    let Some(address) = user.address(world, app, step_up.channel).await? else {
        record.outcome = "block";
        return Ok(respond(Status::Block, None));
    };
    let signing = world.signing_keys().signing_keys().await?;
    let open = Open::new(app, &keyring, world.entropy(), Addresses::new(address, None), TOKEN_LIFE);
    let open = open.found_by(Lookup::User).for_scope(&body.scope);
    record.challenge(open.id, &keyring);
    let session = bearer.session.as_deref().unwrap_or_default();
    let credential = format!("{} {session}", bearer.user.as_str());
    let pending = match prelude::idempotent(request, app, Some(&credential))
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let opened = opened(world, &keyring, &open, record).await.and_then(|()| {
        let scope = (body.scope.as_str(), step_up.channel, step_up.grant_mode);
        let (id, now) = (open.id.print(&keyring), world.clock().now());
        let token = ChallengeToken::for_step_up(&app.id, bearer, id, scope, now)
            .bound_to(user.key())
            .with_metadata(body.metadata.unwrap_or_default());
        let token = passcode_jwt::sign(&signing, &token).map_err(Error::unsigned)?;
        Ok(respond(Status::Review, Some(token)))
    });
    Ok(pending.settle(world, opened, record).await)
}

async fn opened<W>(
    world: &W,
    keyring: &Keyring,
    open: &Open,
    record: &mut Record,
) -> Result<(), Error>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    open::open(world, keyring, open).await?;
    record.outcome = "created";
    Ok(())
}

/// Who asks.
enum Asking {
    /// A user of the app's issuer.
    OfIssuer(Bearer),
    /// A user who has signed in here, with the session.
    SignedIn(Bearer, Box<Session>),
}

impl Asking {
    const fn bearer(&self) -> &Bearer {
        match self {
            Self::OfIssuer(bearer) | Self::SignedIn(bearer, _) => bearer,
        }
    }

    /// The key that the user's session is bound to.
    fn key(&self) -> Option<Thumbprint> {
        match self {
            Self::OfIssuer(_) => None,
            Self::SignedIn(_, session) => session.key,
        }
    }

    /// Where a code of the step-up goes: the registered address, or the one that the user has signed in with.
    async fn address<W>(
        &self,
        world: &W,
        app: &App,
        channel: Channel,
    ) -> Result<Option<Address>, Error>
    where
        W: World<Users: LoadUsers>,
    {
        match self {
            Self::OfIssuer(bearer) => {
                let user = world.users().load_user(&app.id, &bearer.user).await?;
                Ok(user.and_then(|user| registered(user, channel)))
            }
            Self::SignedIn(_, session) => {
                Ok(Some(session.address.clone()).filter(|address| address.channel() == channel))
            }
        }
    }
}

/// Who asks: by an access token that was signed here, or by one of the app's issuer.
async fn user<W>(
    world: &W,
    request: &Request,
    app: &App,
    keyring: &Keyring,
    record: &mut Record,
) -> Result<Asking, Error>
where
    W: World<Sessions: LoadSessions, Tokens: ReadTokens, SigningKeys: LoadSigningKeys>,
{
    let Some(bearer) = session::own_bearer(world, request, app).await? else {
        return of_issuer(world, request, app, record).await.map(Asking::OfIssuer);
    };
    let key = session::session_of(&bearer, app, keyring).ok_or(Error::Unauthorized)?;
    let session = sessions::find(world, &app.id, key).await?.ok_or(Error::Unauthorized)?;
    dpop::check_bearer(request, &session, world.clock().now())?;
    Ok(Asking::SignedIn(bearer, Box::new(session)))
}

async fn of_issuer<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Bearer, Error>
where
    W: World<Tokens: ReadTokens>,
{
    let token = tenant::bearer_token(request).ok_or(Error::Unauthorized)?;
    // Without an issuer, a token can only be one that was signed here.
    let issuer = app.issuer.as_ref().ok_or(Error::Unauthorized)?;
    match world.tokens().read_token(issuer, token, world.clock().now()).await {
        Ok(bearer) => Ok(bearer),
        Err(error @ TokenError::Invalid(_)) => {
            record.error(&error);
            Err(Error::Unauthorized)
        }
        Err(TokenError::Unavailable(cause)) => Err(cause.into()),
    }
}

fn check<'a>(body: &StepUpRequest, app: &'a App) -> Result<&'a StepUp, Error> {
    let bad = |what: &'static str| Err(Error::BadRequest(what.into()));
    if !app::is_scope(&body.scope) {
        return bad("`scope` must be 1 to 128 letters, digits, `.`, `-`, `_` or `:`");
    }
    let metadata = body.metadata.iter().flatten();
    let fits = |(name, value): (&String, &String)| {
        let longest = if name == LONG_METADATA.0 { LONG_METADATA.1 } else { MAX_METADATUM };
        name.chars().count() <= MAX_NAME && value.chars().count() <= longest
    };
    if metadata.clone().count() > MAX_METADATA || !metadata.clone().all(fits) {
        return Err(Error::InvalidMetadata);
    }
    if app.step_up.is_empty() {
        return Err(Error::NotConfigured);
    }
    app.step_up.get(&body.scope).ok_or(Error::ScopeNotAllowed)
}

fn registered(user: User, channel: Channel) -> Option<Address> {
    match channel {
        Channel::Sms => user.phone.map(Address::Phone),
        Channel::Email => user.email.map(Address::Email),
        Channel::Caller => None,
    }
}

fn respond(status: Status, challenge_token: Option<String>) -> Answer {
    Answer::json(StatusCode::OK, &StepUpResponse { status, challenge_token })
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_browser_routes(with_idempotency(Api::openapi(), "PreludeError"), None)
}
