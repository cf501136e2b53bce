//! Rollout: answers in whichever of its three media types the caller accepts. They carry
//! the same object: as JSON, as JSON in a plain text, or field by field in a form.

use lambda_http::http::StatusCode;
use mediatype::{MediaType, media_type};
use passcode_domain::{action::transact::Failure, ports::Cause, value::id::CredentialId};
use passcode_http::{Answer, BodyError, ContractError, RETRY, Request, preferred};
use serde::Serialize;
use serde_json::Value;
use std::{borrow::Cow, fmt::Write as _};
use utoipa::ToSchema;

/// The answer to the right code.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verified {
    /// Always true.
    ok: bool,
    /// Who was verified.
    credential: Credential,
}

/// A verified address of an app.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credential {
    /// The same for the same app and address every time.
    #[schema(example = "cred_7Q4XW2ZKHRM3VJ6NTB5PYD2CLA")]
    id: String,
}

/// The answer to everything else.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// Always false.
    ok: bool,
    /// What is wrong: one error.
    errors: [ErrorMessage; 1],
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorMessage {
    /// What is wrong, in words for people.
    #[schema(value_type = String)]
    message: Cow<'static, str>,
}

/// The media type of an answer.
#[derive(Clone, Copy, Debug)]
enum Render {
    Json,
    Text,
    Form,
}

static OFFERED: [MediaType<'static>; 4] = [
    media_type!(APPLICATION / JSON),
    media_type!(TEXT / PLAIN),
    media_type!(MULTIPART / FORM_DATA),
    media_type!(TEXT / PLAIN; CHARSET = UTF_8),
];

/// No value of this contract can hold this text: values are JSON, and JSON escapes nothing to it.
const BOUNDARY: &str = "----passcode-form-boundary-7d1f0c4e";

/// The answer to the right code.
#[must_use]
pub fn verified(credential: &CredentialId, request: &Request) -> Answer {
    let credential = Credential { id: credential.as_str().to_owned() };
    Render::for_request(request).answer(StatusCode::OK, &Verified { ok: true, credential })
}

/// The contract's errors: which they are, nothing but the message says.
#[derive(Debug)]
pub enum Error {
    /// The body cannot be read.
    Body(BodyError),
    /// What is given as a code can be nobody's.
    MalformedCode,
    /// The code is wrong, expired, exhausted or used, or there is none. Which, is not told: it would help
    /// a guesser.
    Code,
    /// Nothing was decided or revealed; the caller may try again in a second.
    Unavailable(Cause),
}

impl Error {
    fn row(&self) -> (StatusCode, Cow<'static, str>) {
        let text = match self {
            Self::Body(error) => return (StatusCode::BAD_REQUEST, error.to_string().into()),
            Self::MalformedCode => "`otp` must be 1 to 10 letters or digits",
            Self::Code => "The code is not valid, or not valid any more.",
            Self::Unavailable(_) => {
                let text = "Something went wrong. Please try again.";
                return (StatusCode::SERVICE_UNAVAILABLE, text.into());
            }
        };
        (StatusCode::BAD_REQUEST, text.into())
    }
}

impl ContractError for Error {
    fn answer(&self, request: &Request) -> Answer {
        let (status, message) = self.row();
        let body = Refused { ok: false, errors: [ErrorMessage { message }] };
        let answer = Render::for_request(request).answer(status, &body);
        match self {
            Self::Unavailable(_) => answer.retry_after(RETRY),
            Self::Body(_) | Self::MalformedCode | Self::Code => answer,
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Body(_) | Self::MalformedCode | Self::Code => "refused",
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(cause) => Some(cause.as_ref()),
            Self::Body(_) | Self::MalformedCode | Self::Code => None,
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::Unavailable(cause)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}

impl Render {
    fn for_request(request: &Request) -> Self {
        match preferred(request, &OFFERED) {
            wanted if [&OFFERED[1], &OFFERED[3]].contains(&wanted) => Self::Text,
            wanted if *wanted == OFFERED[2] => Self::Form,
            _ => Self::Json,
        }
    }

    fn answer(self, status: StatusCode, body: &impl Serialize) -> Answer {
        match self {
            Self::Json => Answer::json(status, body),
            Self::Text => {
                let text = serde_json::to_string(body).unwrap_or_default();
                Answer::new(status, "text/plain; charset=utf-8", text)
            }
            Self::Form => Answer::new(status, FORM, form(body)),
        }
    }
}

const FORM: &str = "multipart/form-data; boundary=----passcode-form-boundary-7d1f0c4e";

fn form(body: &impl Serialize) -> String {
    let fields = match serde_json::to_value(body) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let mut text = String::new();
    for (name, value) in fields {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\
             Content-Type: application/json\r\n\r\n{value}\r\n"
        );
    }
    text + "--" + BOUNDARY + "--\r\n"
}
