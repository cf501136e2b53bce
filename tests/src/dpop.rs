//! A client's key, and the DPoP proofs (RFC 9449) that it signs with it.

use data_encoding::BASE64URL_NOPAD;
use passcode_domain::secret::dpop::Thumbprint;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// A key on the curve P-256, made anew for each test.
pub struct ClientKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Default for ClientKey {
    fn default() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a pair");
        Self { pair, random }
    }
}

impl ClientKey {
    /// The public half, as the published clients send it: `kty`, `crv`, `x` and `y`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64URL_NOPAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// A proof for a request.
    ///
    /// # Panics
    ///
    /// Where the key does not sign.
    #[must_use]
    pub fn prove(&self, method: &str, url: &str, jti: &str, iat: u64) -> String {
        self.sign(&json!({ "jti": jti, "htm": method, "htu": url, "iat": iat }))
    }

    /// A proof with any claims.
    ///
    /// # Panics
    ///
    /// Where the key does not sign.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let [header, claims] =
            [&header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// What a session knows the key by.
    ///
    /// # Panics
    ///
    /// Where a proof of the key is not read.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let proof = self.prove("POST", "https://a.example/", "any", 0);
        passcode_jwt::read_proof(&proof).expect("a proof").key
    }
}
