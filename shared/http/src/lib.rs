//! Between an API Gateway event and a use-case, for every contract: bodies, answers, the record of a
//! request, origins, idempotency and the printed forms of ids. What one contract's functions share
//! stands beside them, in `functions/<contract>/contract`.

mod answer;
mod body;
mod cdn;
mod choice;
pub mod cors;
pub mod event;
pub mod id;
mod idempotency;
mod origin;
pub mod page;
mod record;
pub mod tenant;

pub use answer::{Answer, Caller, ContractError, RefusedSend, header_text, preferred, rendered};
pub use body::{BodyError, MAX_BODY, Media, body, body_or_form, filled, object, whole};
pub use cdn::CdnSecret;
pub use choice::{Way, with_choice};
pub use idempotency::{
    AGAIN, Begun, IdempotencyError, Idempotent, Pending, with_idempotency, with_idempotency_in,
};
pub use lambda_http::{Body, Request, RequestExt, Response};
pub use origin::{InvalidClientIp, forwarded_origin, peer_origin, with_client_ip};
pub use record::Record;

use std::time::Duration;

/// How long a caller waits after a failure that passes by itself.
pub const RETRY: Duration = Duration::from_secs(1);
