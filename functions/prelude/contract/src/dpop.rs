//! DPoP proofs on the wire: in the header `DPoP`, at most one (RFC 9449 §4.3).

use crate::Error;
use lambda_http::http::HeaderName;
use passcode_domain::{
    Session, Timestamp,
    secret::{
        dpop::{DpopProof, ProvenRequest},
        proof::ChallengeToken,
    },
};
use passcode_http::{Request, header_text, tenant};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The proof that a request brings, if it brings one. It is valid for the request.
pub fn proof(request: &Request, now: Timestamp) -> Result<Option<DpopProof>, Error> {
    if !request.headers().contains_key(DPOP) {
        return Ok(None);
    }
    let invalid = |why: &str| Error::InvalidDpopProof(why.to_owned().into());
    let text = header_text(request, DPOP.as_str());
    let text = text.ok_or_else(|| invalid("there is more than one DPoP header"))?;
    let proof = passcode_jwt::read_proof(text).map_err(|error| invalid(&error.to_string()))?;
    let hash = tenant::bearer_token(request).map(passcode_jwt::access_token_hash);
    let proven = ProvenRequest {
        method: request.method().as_str(),
        host: header_text(request, "host").unwrap_or_default(),
        path: request.uri().path(),
        access_token_hash: hash.as_deref(),
    };
    proof.validate(&proven, now).map_err(|error| invalid(&error.to_string()))?;
    Ok(Some(proof))
}

/// Whether the proof beside an access token is of the key of its session. A client that brings none has shown the
/// access token, and one whose session has no key may bring any.
pub fn check_bearer(request: &Request, session: &Session, now: Timestamp) -> Result<(), Error> {
    match (proof(request, now)?, session.key) {
        (Some(proof), Some(key)) if proof.key != key => Err(Error::DpopKeyMismatch),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Whether a request brings the proof that its challenge token asks for: signed with the key of the session,
/// and with the token's name. A client without a key brings none.
pub fn check_step(request: &Request, token: &ChallengeToken, now: Timestamp) -> Result<(), Error> {
    let key = token.cnf.map(|confirmation| confirmation.jkt);
    match (proof(request, now)?, key) {
        (None, Some(_)) => Err(Error::MissingDpopProof),
        (Some(proof), _) if proof.claims.jti != token.jti => {
            Err(Error::InvalidDpopProof("its jti is not that of the challenge token".into()))
        }
        (Some(proof), Some(key)) if proof.key != key => Err(Error::DpopKeyMismatch),
        (Some(_) | None, _) => Ok(()),
    }
}
