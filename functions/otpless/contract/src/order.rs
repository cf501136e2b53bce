//! OTPless, the older generation: requests known by an `orderId`, the caller's own or one of ours.

use crate::Error;
use passcode_domain::{
    AppId, ChallengeId, Keyring, PhoneNumber, World,
    action::order,
    ledger::order::OrderId,
    ports::{LoadLedgers, StoreError},
};

use passcode_http::id;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to a send and to a resend.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderResponse {
    /// The caller's own id, or one that was made for it.
    #[schema(example = "Otp_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA")]
    pub order_id: String,
}

/// An `orderId`, as callers give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// One of ours: it is the challenge's id.
    Made(ChallengeId),
    /// The caller's own.
    Own(OrderId),
}

impl OrderRef {
    /// Reads an `orderId`.
    pub fn parse(text: &str, keyring: &Keyring) -> Result<Self, Error> {
        let made = id::ORDER_ID.parse(text, keyring);
        let malformed = |_| {
            let allowed = "ASCII letters, digits and punctuation, without spaces";
            Error::Parameters(format!("`orderId` must be 1 to 64 characters: {allowed}"))
        };
        made.map(Self::Made).map_or_else(|| text.parse().map(Self::Own).map_err(malformed), Ok)
    }

    /// The challenge it leads to.
    pub async fn resolve<W>(
        &self,
        world: &W,
        keyring: &Keyring,
        app: &AppId,
    ) -> Result<Option<ChallengeId>, StoreError>
    where
        W: World<Ledgers: LoadLedgers>,
    {
        match self {
            Self::Made(id) => Ok(Some(*id)),
            Self::Own(order) => order::find(world, keyring, app, order).await,
        }
    }
}

/// A phone number with its country code. This generation's clients leave the `+` out.
pub fn international(phone: Option<String>) -> Option<Result<PhoneNumber, Error>> {
    let is_bare = |phone: &str| phone.starts_with(|first: char| first.is_ascii_digit());
    crate::international(
        phone.map(|phone| if is_bare(&phone) { format!("+{phone}") } else { phone }),
    )
}

/// An id as the older generation prints it.
#[must_use]
pub fn order_id(id: ChallengeId, keyring: &Keyring) -> String {
    id::ORDER_ID.print(id, keyring)
}
