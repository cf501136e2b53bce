//! What the adapters have in common about the AWS SDK: how a message is sent at most once, and how a
//! failed call is described. A service's own words are left out, since they can repeat what was sent
//! to it: SES names the address it refuses, SNS the number.

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use hyper_util::client::legacy;
use passcode_domain::ports::CourierError;
use std::{error::Error, fmt, time::Duration};
use thiserror::Error;

/// The longest that a message holds its request.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(4);

/// Time-outs of a client that sends messages.
#[must_use]
pub fn send_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(SEND_TIMEOUT).build()
}

/// No retries: neither SNS nor SES has an idempotency token, so a second try could be a second
/// message.
#[must_use]
pub fn send_once() -> RetryConfig {
    RetryConfig::disabled()
}

const NEVER_MADE: &str = "the request could not be made";
const NEVER_SENT: &str = "no connection";

/// Whether the HTTP client says that no byte of the request has gone out: it had no connection, or that was
/// closed before the request was begun. A connection that breaks later is another error.
fn is_unsent(failed: &(dyn Error + 'static)) -> bool {
    failed.downcast_ref().is_some_and(legacy::Error::is_connect)
        || failed.downcast_ref().is_some_and(hyper::Error::is_canceled)
        || failed.source().is_some_and(is_unsent)
}

/// A failed call: what kind of failure, and what AWS support would ask for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct CallFailed {
    kind: &'static str,
    /// The service's name for the error, such as `ThrottlingException`.
    code: Option<String>,
    /// The HTTP status of its answer.
    pub status: Option<u16>,
    request_id: Option<String>,
}

impl CallFailed {
    /// Describes an error of the SDK.
    pub fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let kind = match error {
            SdkError::ConstructionFailure(_) => NEVER_MADE,
            SdkError::TimeoutError(_) => "no answer in time",
            SdkError::DispatchFailure(failed)
                if failed.as_connector_error().is_some_and(|failed| is_unsent(failed)) =>
            {
                NEVER_SENT
            }
            SdkError::DispatchFailure(_) => "the connection broke",
            SdkError::ResponseError(_) => "an answer that makes no sense",
            SdkError::ServiceError(_) => "refused",
            _ => "failed",
        };
        let response = error.raw_response();
        Self {
            kind,
            code: error.as_service_error().and_then(|error| error.code()).map(str::to_owned),
            status: response.map(|response| response.status().as_u16()),
            request_id: response
                .and_then(|response| response.headers().get("x-amzn-requestid"))
                .map(str::to_owned),
        }
    }

    /// Whether the caller lacks the permission for the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        let denials = ["AccessDenied", "AuthorizationError", "UnauthorizedOperation"];
        self.code
            .as_deref()
            .is_some_and(|code| denials.iter().any(|denial| code.starts_with(denial)))
    }

    /// Whether what the call names does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let missing = ["NotFound", "ResourceNotFound", "TableNotFound"];
        self.code.as_deref().is_some_and(|code| missing.iter().any(|name| code.starts_with(name)))
    }

    /// Whether the service has certainly not done what it was asked: it said so (4xx, but not that
    /// it gave up waiting), or was never asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self.status {
            Some(status) => (400..500).contains(&status) && status != 408,
            None => [NEVER_MADE, NEVER_SENT].contains(&self.kind),
        }
    }
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for detail in [self.code.as_deref(), self.request_id.as_deref()].into_iter().flatten() {
            write!(f, ", {detail}")?;
        }
        self.status.map_or(Ok(()), |status| write!(f, ", status {status}"))
    }
}

/// A message that was refused has not gone out. Of every other failure nobody knows.
impl From<CallFailed> for CourierError {
    fn from(failed: CallFailed) -> Self {
        if failed.is_refusal() {
            Self::Refused(failed.into())
        } else {
            Self::Unknown(failed.into())
        }
    }
}
