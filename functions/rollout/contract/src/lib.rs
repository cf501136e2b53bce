//! Rollout: answers in whichever of its three media types the caller accepts. They carry
//! the same object: as JSON, as JSON in a plain text, or field by field in a form.

use lambda_http::http::StatusCode;
use mediatype::{MediaType, media_type};
use passcode_domain::subject::CredentialId;
use passcode_http::{Answer, Record, Request, preferred};
use serde::Serialize;
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};
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
    errors: [Error; 1],
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
pub struct Error {
    /// What is wrong, in words for people.
    message: String,
}

/// The media type of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Render {
    /// As JSON.
    Json,
    /// As JSON in a plain text.
    Text,
    /// Field by field in a form.
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

impl Render {
    /// The media type that the caller prefers.
    #[must_use]
    pub fn for_request(request: &Request) -> Self {
        match preferred(request, &OFFERED) {
            wanted if [&OFFERED[1], &OFFERED[3]].contains(&wanted) => Self::Text,
            wanted if *wanted == OFFERED[2] => Self::Form,
            _ => Self::Json,
        }
    }

    /// The answer to the right code.
    #[must_use]
    pub fn verified(self, credential: &CredentialId, record: Record) -> Answer {
        let credential = Credential { id: credential.as_str().to_owned() };
        self.answer(StatusCode::OK, &Verified { ok: true, credential }, record)
    }

    /// The answer to everything else, with what is wrong.
    #[must_use]
    pub fn refused(self, message: &str, record: Record) -> Answer {
        let errors = [Error { message: message.to_owned() }];
        self.answer(StatusCode::BAD_REQUEST, &Refused { ok: false, errors }, record)
    }

    /// Nothing was decided or revealed; the caller may try again in a second.
    #[must_use]
    pub fn unavailable(self, record: Record) -> Answer {
        let record = Record { outcome: "unavailable", ..record };
        let answer = self.refused("Something went wrong. Please try again.", record);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Answer { status, ..answer }.retry_after(Duration::from_secs(1))
    }

    fn answer(self, status: StatusCode, body: &impl Serialize, record: Record) -> Answer {
        match self {
            Self::Json => Answer::json(status, body, record),
            Self::Text => {
                let text = serde_json::to_string(body).unwrap_or_default();
                Answer::new(status, "text/plain; charset=utf-8", text, record)
            }
            Self::Form => Answer::new(status, FORM, form(body), record),
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
