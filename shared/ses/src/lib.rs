//! E-mails through SES: `SendEmail` with a text and an HTML part.

use aws_sdk_sesv2::{
    Client, config,
    error::BuildError,
    types::{Body, Content, Destination, EmailContent, Message, MessageTag},
};
use aws_types::SdkConfig;
use passcode_aws::{CallFailed, send_once, send_timeouts};
use passcode_domain::{
    EmailAddress,
    message::Email,
    ports::{Adapter, CourierError, EmailCourier},
};

/// The tag that leads from SES's events back to a message.
pub const RECEIPT_TAG: &str = "receipt";

/// The e-mail courier.
#[derive(Clone, Debug)]
pub struct SesCourier {
    client: Client,
    default_from: String,
    default_configuration_set: Option<String>,
}

impl SesCourier {
    /// A courier without retries: a second try could be a second message. `default_from` is the sender of apps that
    /// name none, and so is the configuration set, which lets SES report what became of a message.
    #[must_use]
    pub fn new(
        aws: &SdkConfig,
        default_from: String,
        default_configuration_set: Option<String>,
    ) -> Self {
        let config = config::Builder::from(aws)
            .retry_config(send_once())
            .timeout_config(send_timeouts())
            .build();
        Self { client: Client::from_conf(config), default_from, default_configuration_set }
    }
}

impl Adapter for SesCourier {
    fn ports() -> Vec<&'static str> {
        vec!["EmailCourier"]
    }
}

impl EmailCourier for SesCourier {
    async fn send(&self, to: &EmailAddress, message: &Email) -> Result<(), CourierError> {
        let refused = |error: BuildError| CourierError::Refused(error.into());
        let tag = |name, value| MessageTag::builder().name(name).value(value).build();
        let app = tag("app", tag_value(&message.app)).map_err(refused)?;
        let receipt = tag(RECEIPT_TAG, message.receipt_tag.clone()).map_err(refused)?;
        let own = message.sender.configuration_set.as_ref();
        let from = message.sender.from.as_deref().unwrap_or(&self.default_from);
        let request = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(content(message).map_err(refused)?)
            .set_configuration_set_name(own.or(self.default_configuration_set.as_ref()).cloned())
            .email_tags(app)
            .email_tags(receipt);
        request.send().await.map(drop).map_err(|error| CallFailed::of(&error).into())
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
