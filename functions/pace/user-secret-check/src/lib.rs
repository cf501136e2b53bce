//! `GET /user/pin`, `/user/password` and `/user/pin-or-password`: whether the user has set a PIN, a
//! password, and which of the two. Nothing of them is told but that they are there.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Endpoint, Error, PaceErrors};
use passcode_domain::{
    World,
    ports::{LoadApps, LoadUsers, ReadTokens},
};
use passcode_http::{Answer, Record, Request};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema, openapi::SecurityRequirement};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

const PIN_SCOPE: &str = "user:users.pin:check";
const PASSWORD_SCOPE: &str = "user:users.password:check";

const PIN: Endpoint = Endpoint { scopes: &[PIN_SCOPE], offers: &pace::JSON };
const PASSWORD: Endpoint = Endpoint { scopes: &[PASSWORD_SCOPE], offers: &pace::JSON };
const EITHER: Endpoint = Endpoint { scopes: &[PIN_SCOPE, PASSWORD_SCOPE], offers: &pace::JSON };

/// Which of a user's secrets are set.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct PinOrPassword {
    /// Whether the user has a PIN.
    pin: bool,
    /// Whether the user has a password.
    password: bool,
}

/// What a path asks after.
#[derive(Clone, Copy)]
enum Question {
    Pin,
    Password,
    Either,
}

impl Question {
    /// A base path may stand before the contract's own.
    fn of(request: &Request) -> Self {
        match request.uri().path().rsplit('/').next() {
            Some("pin") => Self::Pin,
            Some("password") => Self::Password,
            _ => Self::Either,
        }
    }

    const fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Pin => &PIN,
            Self::Password => &PASSWORD,
            Self::Either => &EITHER,
        }
    }
}

/// Serves one request.
#[utoipa::path(
    get,
    path = "/user/pin",
    operation_id = "pace-user-secret-check",
    tag = "PACE",
    summary = "Whether the user has a PIN",
    security(("bearer" = ["user:users.pin:check"])),
    responses(
        (status = 200, description = "It is set"),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 404, description = "It is not set; or no app has this host, or it has no issuer", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`Accept` admits neither JSON nor JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 500, description = "Nothing is known; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<Apps: LoadApps, Users: LoadUsers, Tokens: ReadTokens>,
{
    let question = Question::of(request);
    let caller = pace::admit(world, request, record, question.endpoint()).await?;
    let user = world.users().load_user(&caller.app.id, &caller.user).await?;
    // Who is not known has set nothing.
    let set = user.map_or(PinOrPassword::default(), |user| PinOrPassword {
        pin: user.pin.is_some(),
        password: user.password.is_some(),
    });
    let is_set = match question {
        Question::Either => {
            record.outcome = "checked";
            return Ok(Answer::json(StatusCode::OK, &set));
        }
        Question::Pin => set.pin,
        Question::Password => set.password,
    };
    record.outcome = if is_set { "set" } else { "not set" };
    is_set.then(|| Answer::empty(StatusCode::OK)).ok_or(Error::NotFound)
}

/// The third route that `handle` serves.
#[utoipa::path(
    get,
    path = "/user/pin-or-password",
    operation_id = "pace-user-secret-check-either",
    tag = "PACE",
    summary = "Which of PIN and password the user has",
    security(("bearer" = ["user:users.pin:check", "user:users.password:check"])),
    responses(
        (status = 200, description = "Which of them are set", body = PinOrPassword),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 404, description = "No app has this host, or it has no issuer", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`Accept` admits neither JSON nor JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 500, description = "Nothing is known; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
#[expect(dead_code, reason = "documents one of the routes that `handle` serves")]
const fn either() {}

#[derive(OpenApi)]
#[openapi(paths(handle, either))]
struct Api;

/// The endpoint's part of the OpenAPI document. A password is asked after as a PIN is.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    let password = api.paths.paths.get("/user/pin").cloned().map(|mut item| {
        if let Some(get) = &mut item.get {
            get.operation_id = Some("pace-user-secret-check-password".to_owned());
            get.summary = Some("Whether the user has a password".to_owned());
            get.security = Some(vec![SecurityRequirement::new("bearer", [PASSWORD_SCOPE])]);
        }
        item
    });
    api.paths.paths.extend(password.map(|item| ("/user/password".to_owned(), item)));
    api
}
