//! E-mails through SES: `SendEmail` with a text and an HTML part.

use aws_sdk_sesv2::{
    Client, config,
    error::{BuildError, SdkError},
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message, MessageTag},
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::{
    EmailAddress,
    message::Email,
    ports::{CourierError, EmailCourier},
};
use std::time::Duration;

/// The longest that a message holds its request.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// The e-mail courier.
#[derive(Clone, Debug)]
pub struct SesCourier {
    client: Client,
    default_from: String,
}

impl SesCourier {
    /// A courier without retries: SES has no idempotency token, so a second try could be a second
    /// message. `default_from` is the sender of apps that name none.
    #[must_use]
    pub fn new(aws: &SdkConfig, default_from: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CALL_TIMEOUT / 4)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let config = config::Builder::from(aws)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), default_from }
    }
}

impl EmailCourier for SesCourier {
    async fn send(&self, to: &EmailAddress, message: &Email) -> Result<(), CourierError> {
        let refused = |error: BuildError| CourierError::Refused(error.into());
        let tag = MessageTag::builder().name("app").value(tag_value(&message.app));
        let from = message.sender.from.as_deref().unwrap_or(&self.default_from);
        let request = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(content(message).map_err(refused)?)
            .set_configuration_set_name(message.sender.configuration_set.clone())
            .email_tags(tag.build().map_err(refused)?);
        request.send().await.map(drop).map_err(|error| classify(&error))
    }
}

fn content(message: &Email) -> Result<EmailContent, BuildError> {
    let utf8 = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().text(utf8(&message.text)?).html(utf8(&message.html)?).build();
    let simple = Message::builder().subject(utf8(&message.subject)?).body(body).build();
    Ok(EmailContent::builder().simple(simple).build())
}

/// A tag's value may hold letters, digits, `_` and `-`; an app's id may hold a dot besides.
fn tag_value(app: &str) -> String {
    app.replace('.', "_")
}

/// A request that was refused has sent nothing. Of everything else nobody knows.
fn classify(error: &SdkError<SendEmailError>) -> CourierError {
    let failed = CallFailed::of(error);
    if failed.is_refusal() {
        CourierError::Refused(failed.into())
    } else {
        CourierError::Unknown(failed.into())
    }
}
