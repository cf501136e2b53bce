//! `POST /v1/session/otp`: a code goes out, for an identifier or for a challenge token, and the
//! browser gets the verification token that leads back to it.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, Addresses, App, AppId, ChallengeId, EmailAddress, Keyring, PhoneNumber, SigningKeys,
    Timestamp,
    challenge::Lookup,
    open::Open,
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        LoadSigningKeys, SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Target, Wish},
    transact::Ports,
    verification_token::{Flow, VerificationToken},
};
use passcode_http::{
    Answer, Media, Record, Request, Way, body, object, own_ip, with_choice, with_idempotency,
};
use prelude_contract::{self as prelude, ErrorBody, Lost, Refusal, with_browser_routes};
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
pub async fn handle<A, L, K, G, C, E, S, M>(
    deps: &Deps<A, L, K, G, C, E, S, M>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
{
    let began = deps.clock.now();
    match prelude::admit(&request, &deps.apps, deps.default_app.as_ref()).await {
        Err(answer) => answer,
        Ok(visitor) => {
            let answer = create(deps, &request, &visitor.app, began).await;
            visitor.show(answer)
        }
    }
}

async fn create<A, L, K, G, C, E, S, M>(
    deps: &Deps<A, L, K, G, C, E, S, M>,
    request: &Request,
    app: &Arc<App>,
    began: Timestamp,
) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
{
    let record = Record::default().app(&app.id);
    let body: CreateRequest = match body(request, &[Media::Json]).await {
        Ok(body) => body,
        Err(error) => return Refusal::from(&error).answer(record),
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return prelude::keyless(&cause, record),
    };
    let plan = match plan(deps, &body, app, &keyring, &record).await {
        Ok(plan) => plan,
        Err(answer) => return answer,
    };
    let (target, token) = match &plan {
        Plan::New(open) => (Target::Ordered(open, app), token(open.id, Flow::Standalone)),
        Plan::Step(id) => (Target::Existing(*id, Some(app)), token(*id, Flow::StepUp)),
    };
    let record = record.challenge(token.id);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let couriers = Couriers { sms: &deps.sms, email: &deps.email };
    // The challenge knows its one address, and so its channel.
    let wish = Wish { ip: own_ip(request), ..Wish::default() };
    let work = async {
        let sent = send::send(ports, &keyring, &deps.apps, couriers, target, &wish).await;
        prelude::even_out(app, &deps.clock, began).await;
        match sent {
            Ok(delivery) => {
                let lost = Lost {
                    missing: Refusal::InvalidChallengeToken,
                    expired: Refusal::ExpiredChallengeToken,
                };
                prelude::deliver(delivery, record, deps.clock.now(), lost, |record| {
                    prelude::issue(
                        Answer::empty(StatusCode::NO_CONTENT, record),
                        app,
                        &keyring,
                        &token,
                    )
                })
            }
            Err(failure) => prelude::failed(&failure, record),
        }
    };
    prelude::idempotent(request, app, body.challenge_token.as_deref())
        .run(&keyring, ports, work)
        .await
}

enum Plan {
    New(Box<Open>),
    Step(ChallengeId),
}

const fn token(id: ChallengeId, flow: Flow) -> VerificationToken {
    VerificationToken { id, flow }
}

/// What a request asks for: a new challenge, or the next message of one that a token tells of.
async fn plan<A, L, K, G, C, E, S, M>(
    deps: &Deps<A, L, K, G, C, E, S, M>,
    body: &CreateRequest,
    app: &App,
    keyring: &Keyring,
    record: &Record,
) -> Result<Plan, Answer>
where
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
{
    let refuse = |refusal: Refusal| refusal.answer(record.clone());
    let template = body.login_config_id.as_ref();
    if template.is_some_and(|id| !app.templates.contains_key(id)) {
        return Err(refuse(Refusal::BadRequest("`login_config_id` is not known".into())));
    }
    match (&body.identifier, &body.challenge_token) {
        (Some(identifier), None) => {
            let addresses = Addresses::new(address(identifier).map_err(refuse)?, None);
            let open = Open::new(app, keyring, &deps.entropy, addresses, LIFE)
                .found_by(Lookup::Anonymous)
                .with_template(template.cloned());
            Ok(Plan::New(Box::new(open)))
        }
        (None, Some(text)) => {
            let now = deps.clock.now();
            let read = |keys: &SigningKeys| step(text, app, keys, now);
            let read = prelude::vouched_by_signature(&deps.signing, record, read).await;
            read.map(|(_, id)| Plan::Step(id))
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(refuse(Refusal::BadRequest("give either `identifier` or `challenge_token`".into())))
        }
    }
}

/// The challenge that a challenge token of this app tells of.
fn step(text: &str, app: &App, keys: &SigningKeys, now: Timestamp) -> Result<ChallengeId, Refusal> {
    let token = passcode_jwt::read(keys, text).map_err(|_| Refusal::InvalidChallengeToken)?;
    token.believe(&app.id, now)?;
    Ok(token.challenge_id)
}

fn address(identifier: &Identifier) -> Result<Address, Refusal> {
    let address = match identifier {
        Identifier::PhoneNumber(Phone(text)) => PhoneNumber::parse(text).map(Address::Phone),
        Identifier::EmailAddress(Email(text)) => EmailAddress::parse(text).map(Address::Email),
    };
    address.map_err(|error| Refusal::BadRequest(format!("`identifier.value`: {error}").into()))
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
