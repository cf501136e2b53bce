//! Between an API Gateway event and a use-case: bodies are read here, answers and the record of a
//! request are made here, and what several functions of a contract share has its module here.

mod answer;
mod body;
mod choice;
pub mod contract;
pub mod cors;
pub mod event;
mod idempotency;
mod origin;
mod record;

pub use answer::{Answer, Caller, header_text, preferred};
pub use body::{BodyError, MAX_BODY, Media, body, body_or_form, filled, object, whole};
pub use choice::{Way, with_choice};
pub use idempotency::{Idempotent, Refused, with_idempotency, with_idempotency_in};
pub use lambda_http::{Body, Request, RequestExt, Response};
pub use origin::{InvalidClientIp, own_ip, told_ip, with_client_ip};
pub use record::Record;
