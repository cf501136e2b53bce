//! Text messages through SNS: `Publish` straight to a phone number.

use aws_sdk_sns::{Client, config, types::MessageAttributeValue};
use aws_types::SdkConfig;
use passcode_aws::{CallFailed, send_once, send_timeouts};
use passcode_domain::{
    PhoneNumber,
    message::Sms,
    ports::{Adapter, CourierError, ProviderMessageId, SmsCourier},
};

/// The SMS courier.
#[derive(Clone, Debug)]
pub struct SnsCourier {
    client: Client,
    has_receipts: bool,
}

impl SnsCourier {
    /// A courier without retries: a second try could be a second message. With receipts, SNS logs what became of
    /// each message, by the id that it gives to it.
    #[must_use]
    pub fn new(aws: &SdkConfig, has_receipts: bool) -> Self {
        let config = config::Builder::from(aws)
            .retry_config(send_once())
            .timeout_config(send_timeouts())
            .build();
        Self { client: Client::from_conf(config), has_receipts }
    }
}

impl Adapter for SnsCourier {
    fn ports() -> Vec<&'static str> {
        vec!["SmsCourier"]
    }
}

impl SmsCourier for SnsCourier {
    async fn send(
        &self,
        to: &PhoneNumber,
        message: &Sms,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        let request = self.client.publish().phone_number(to.as_str()).message(&message.text);
        let request =
            attributes(message).into_iter().fold(request, |request, (name, kind, text)| {
                let value =
                    MessageAttributeValue::builder().data_type(kind).string_value(text).build();
                match value {
                    Ok(value) => request.message_attributes(name, value),
                    // Only a value without a data type fails to build, and every one here has one.
                    Err(_) => request,
                }
            });
        let published = request.send().await.map_err(|error| CallFailed::of(&error))?;
        Ok(published.message_id.filter(|_| self.has_receipts).map(ProviderMessageId))
    }
}

/// What SNS shall know beside the text (SNS developer guide, "Publishing SMS messages").
fn attributes(message: &Sms) -> Vec<(&'static str, &'static str, &str)> {
    let sender = &message.sender;
    let set = [
        ("AWS.SNS.SMS.SMSType", "String", Some("Transactional")),
        ("AWS.SNS.SMS.SenderID", "String", sender.sender_id.as_deref()),
        ("AWS.SNS.SMS.MaxPrice", "Number", sender.max_price.as_deref()),
        ("AWS.MM.SMS.OriginationNumber", "String", sender.origination_number.as_deref()),
        ("AWS.MM.SMS.EntityId", "String", sender.entity_id.as_deref()),
        ("AWS.MM.SMS.TemplateId", "String", sender.template_id.as_deref()),
    ];
    set.into_iter().filter_map(|(name, kind, text)| Some((name, kind, text?))).collect()
}
