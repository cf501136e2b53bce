//! Tokens that are signed here, with Ed25519 keys (EdDSA, RFC 8037), and the public
//! halves of those keys, for whoever reads a proof.

use crate::crypto;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
        OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse,
    },
};
use passcode_domain::{
    SigningKeys,
    secret::{
        access::{ACCESS_TOKEN_TYPE, AccessToken},
        proof::ChallengeToken,
    },
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// A token that was not signed here, or not with a key that still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the token was not signed here")]
pub struct Untrusted;

/// An Ed25519 key with its name.
pub struct Signer<'a> {
    kid: &'a str,
    seed: &'a [u8; 32],
}

impl<'a> Signer<'a> {
    /// The key with this seed (RFC 8032 §5.1.5), known by `kid`.
    #[must_use]
    pub const fn new(kid: &'a str, seed: &'a [u8; 32]) -> Self {
        Self { kid, seed }
    }

    /// Signs claims, as a token of some type (RFC 8725 §3.11).
    pub fn sign(
        &self,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        crypto::install();
        let (kid, typ) = (Some(self.kid.to_owned()), Some(typ.to_owned()));
        let header = Header { kid, typ, ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(self.seed))
    }

    /// The public half, as a JSON Web Key (RFC 8037 §2).
    #[must_use]
    pub fn public_key(&self) -> Jwk {
        Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(KeyAlgorithm::EdDSA),
                key_id: Some(self.kid.to_owned()),
                ..CommonParameters::default()
            },
            algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: BASE64URL_NOPAD.encode(&self.public_point()),
            }),
        }
    }

    fn public_point(&self) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_seed_unchecked(self.seed);
        // Every 32 bytes are a seed.
        pair.map(|pair| pair.public_key().as_ref().to_vec()).unwrap_or_default()
    }
}

fn signers(keys: &SigningKeys) -> impl Iterator<Item = Signer<'_>> {
    keys.seeds().map(|(id, seed)| Signer::new(id.as_str(), seed.reveal()))
}

/// Signs a challenge token with the current key.
pub fn sign(
    keys: &SigningKeys,
    token: &ChallengeToken,
) -> Result<String, jsonwebtoken::errors::Error> {
    sign_as(keys, token.current_step.token_type(), token)
}

/// Signs an access token with the current key.
pub fn sign_access_token(
    keys: &SigningKeys,
    token: &AccessToken,
) -> Result<String, jsonwebtoken::errors::Error> {
    sign_as(keys, ACCESS_TOKEN_TYPE, token)
}

fn sign_as(
    keys: &SigningKeys,
    typ: &str,
    claims: &impl Serialize,
) -> Result<String, jsonwebtoken::errors::Error> {
    let missing = || jsonwebtoken::errors::Error::from(ErrorKind::InvalidEddsaKey);
    signers(keys).next().ok_or_else(missing)?.sign(typ, claims)
}

/// Reads a challenge token that the current key or the previous one has signed. Whether it is in
/// time, and whose it is, is for the domain to say.
pub fn read(keys: &SigningKeys, text: &str) -> Result<ChallengeToken, Untrusted> {
    let (typ, token) = read_typed::<ChallengeToken>(keys, text)?;
    (typ == token.current_step.token_type()).then_some(token).ok_or(Untrusted)
}

/// Reads an access token that the current key or the previous one has signed, in the same way.
pub fn read_access_token(keys: &SigningKeys, text: &str) -> Result<AccessToken, Untrusted> {
    let (typ, token) = read_typed(keys, text)?;
    (typ == ACCESS_TOKEN_TYPE).then_some(token).ok_or(Untrusted)
}

/// The type and the claims of a token that was signed here.
fn read_typed<T>(keys: &SigningKeys, text: &str) -> Result<(String, T), Untrusted>
where
    T: DeserializeOwned + Clone,
{
    crypto::install();
    let header = jsonwebtoken::decode_header(text).map_err(|_| Untrusted)?;
    let signer = signers(keys).find(|signer| header.kid.as_deref() == Some(signer.kid));
    let point = signer.ok_or(Untrusted)?.public_point();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(text, &DecodingKey::from_ed_der(&point), &validation);
    let claims = decoded.map(|decoded| decoded.claims).map_err(|_| Untrusted)?;
    Ok((header.typ.ok_or(Untrusted)?, claims))
}

/// The public keys: the current one and the one before.
#[must_use]
pub fn public_keys(keys: &SigningKeys) -> JwkSet {
    JwkSet { keys: signers(keys).map(|signer| signer.public_key()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::Timestamp;

    const OLD: &str = r#"{"root":"first-secret-of-at-least-32-characters"}"#;
    const NEW: &str = r#"{"root":"first-secret-of-at-least-32-characters",
        "current":"second-secret-of-at-least-32-characters",
        "previous":"first-secret-of-at-least-32-characters"}"#;
    const OTHER: &str = r#"{"root":"other-secret-of-at-least-32-characters"}"#;

    fn signing_keys(json: &str) -> SigningKeys {
        SigningKeys::from_secret(json).expect("a secret")
    }

    fn token() -> ChallengeToken {
        let id = "a-printed-id".to_owned();
        let now = Timestamp::from_millis(1_800_000_000_000);
        ChallengeToken::of_login(&"demo".parse().expect("an id"), "cred_A", id, now)
    }

    #[test]
    fn what_was_not_signed_here_is_not_read() {
        let keys = signing_keys(OLD);
        let text = sign(&keys, &token()).expect("it is signed");
        assert_eq!(read(&signing_keys(OTHER), &text), Err(Untrusted));
        let (head, signature) = text.rsplit_once('.').expect("a signature");
        let none = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
        let hmac = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","kid":"x"}"#);
        let claims = head.split_once('.').expect("claims").1;
        let forged = [
            String::new(),
            "a.b.c".to_owned(),
            head.to_owned(),
            format!("{head}."),
            format!("{none}.{claims}."),
            format!("{hmac}.{claims}.{signature}"),
            format!("{}.{signature}", head.replacen("ey", "eY", 1)),
            "A".repeat(100_000),
        ];
        for text in forged {
            assert_eq!(read(&keys, &text), Err(Untrusted), "{text:.80}");
        }
    }

    #[test]
    fn a_token_survives_one_rotation_and_is_read_by_its_public_key_alone() {
        let text = sign(&signing_keys(OLD), &token()).expect("it is signed");
        assert_eq!(read(&signing_keys(NEW), &text), Ok(token()));
        let keys = public_keys(&signing_keys(NEW));
        assert_eq!(keys.keys.len(), 2);
        let header = jsonwebtoken::decode_header(&text).expect("a header");
        let key = keys.find(&header.kid.expect("a kid")).expect("it is published");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["demo"]);
        let key = DecodingKey::from_jwk(key).expect("a key");
        assert!(jsonwebtoken::decode::<serde_json::Value>(&text, &key, &validation).is_ok());
        assert!(!serde_json::to_string(&keys).expect("JSON").contains("\"d\""), "no private half");
    }
}
