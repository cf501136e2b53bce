//! DPoP proofs (RFC 9449): JWTs that a client signs with ES256 and that bring the public key along. Whether a
//! proof is of its request, and in time, is for the domain to say.

use crate::crypto;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use passcode_domain::secret::dpop::{DpopClaims, DpopProof, Thumbprint};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, de::IgnoredAny};
use thiserror::Error;

/// The longest proof that is looked at, in bytes.
const MAX_PROOF: usize = 4 * 1024;

/// A text that is no proof: malformed, of another type or algorithm, or not signed by the key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a DPoP proof that its own key has signed with ES256")]
pub struct InvalidProof;

/// The header of a proof (RFC 9449 §4.2).
#[derive(Deserialize)]
struct ProofHeader {
    typ: String,
    alg: Algorithm,
    jwk: PublicKey,
}

/// A public key on the curve P-256 (RFC 7518 §6.2). The private half must not be there.
#[derive(Deserialize)]
struct PublicKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
    d: Option<IgnoredAny>,
}

impl PublicKey {
    /// Whether it is a public key on the curve that ES256 needs, in the one spelling that each point has.
    fn is_p256(&self) -> bool {
        let is_coordinate = |text: &String| {
            BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
        };
        let is_public = self.kty == "EC" && self.crv == "P-256" && self.d.is_none();
        is_public && is_coordinate(&self.x) && is_coordinate(&self.y)
    }

    /// RFC 7638 §3: the required members in the order of their names, without spaces.
    fn thumbprint(&self) -> Thumbprint {
        let Self { kty, crv, x, y, .. } = self;
        let members = format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#);
        Thumbprint::from_bytes(sha256(members.as_bytes()))
    }
}

/// Reads a proof that is signed by the key that it brings.
pub fn read_proof(text: &str) -> Result<DpopProof, InvalidProof> {
    crypto::install();
    let ProofHeader { typ, alg, jwk } = header(text).ok_or(InvalidProof)?;
    if typ != "dpop+jwt" || alg != Algorithm::ES256 || !jwk.is_p256() {
        return Err(InvalidProof);
    }
    let key = DecodingKey::from_ec_components(&jwk.x, &jwk.y).map_err(|_| InvalidProof)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<DpopClaims>(text, &key, &validation);
    let claims = decoded.map(|decoded| decoded.claims).map_err(|_| InvalidProof)?;
    Ok(DpopProof { key: jwk.thumbprint(), claims })
}

fn header(text: &str) -> Option<ProofHeader> {
    let header = text.split('.').next().filter(|_| text.len() <= MAX_PROOF)?;
    serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).ok()?).ok()
}

/// The hash by which a proof names the access token beside it (RFC 9449 §4.2, `ath`).
#[must_use]
pub fn access_token_hash(token: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(token.as_bytes()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proof of RFC 9449, figure 2.
    const OF_TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
        oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
        WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
        4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    /// The proof of RFC 9449, figure 12.
    const OF_RESOURCE_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
        oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
        WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
        c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
        OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

    #[test]
    fn the_proofs_of_the_standard_are_read() {
        let proof = read_proof(OF_TOKEN_REQUEST).expect("a proof");
        let claims = DpopClaims {
            jti: "-BwC3ESc6acc2lTc".to_owned(),
            htm: "POST".to_owned(),
            htu: "https://server.example.com/token".to_owned(),
            iat: 1_562_262_616,
            ath: None,
        };
        // `jkt` of RFC 9449 §6.1.
        let jkt = BASE64URL_NOPAD.decode(b"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        let jkt = jkt.expect("base64").try_into().expect("32 bytes");
        assert_eq!(proof, DpopProof { key: Thumbprint::from_bytes(jkt), claims });

        let proof = read_proof(OF_RESOURCE_REQUEST).expect("a proof");
        let hash = access_token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        assert_eq!((proof.key, proof.claims.ath), (Thumbprint::from_bytes(jkt), Some(hash)));
    }

    #[test]
    fn what_its_own_key_has_not_signed_is_no_proof() {
        let (head, signature) = OF_TOKEN_REQUEST.rsplit_once('.').expect("a signature");
        let (header, claims) = head.split_once('.').expect("claims");
        let bytes = BASE64URL_NOPAD.decode(header.as_bytes()).expect("base64");
        let header = String::from_utf8(bytes).expect("text");
        let with = |from: &str, to: &str| {
            assert!(header.contains(from), "{from}");
            let header = BASE64URL_NOPAD.encode(header.replacen(from, to, 1).as_bytes());
            format!("{header}.{claims}.{signature}")
        };
        let other_claims = BASE64URL_NOPAD.encode(br#"{"jti":"a","htm":"POST","htu":"","iat":0}"#);
        for text in [
            String::new(),
            "a.b.c".to_owned(),
            head.to_owned(),
            format!("{head}."),
            format!("{}.{other_claims}.{signature}", head.split('.').next().unwrap_or_default()),
            with("dpop+jwt", "JWT"),
            with("ES256", "none"),
            with("ES256", "HS256"),
            with("ES256", "RS256"),
            with(r#""kty":"EC""#, r#""kty":"oct""#),
            with("P-256", "P-384"),
            with(r#""crv""#, r#""d":"AAAA","crv""#),
            with(r#""x":"l8"#, r#""x":"m8"#),
            with(r#""x":"l8"#, r#""x":""#),
            format!("{head}.{}", signature.replacen('2', "3", 1)),
            "A".repeat(100_000),
        ] {
            assert_eq!(read_proof(&text), Err(InvalidProof), "{text:.80}");
        }
    }
}
