//! JSON Web Tokens (RFC 7519): challenge tokens and access tokens, which are signed here, access tokens of
//! an app's issuer, and DPoP proofs, which clients sign. The format is `jsonwebtoken`'s; the cryptography is `ring`'s, which the TLS
//! of every function links already.

mod crypto;
mod dpop;
mod issuer;
mod own;

pub use dpop::{InvalidProof, access_token_hash, read_proof};
pub use issuer::{FetchKeys, IssuerTokens};
pub use jsonwebtoken::jwk::{Jwk, JwkSet};
pub use own::{Signer, Untrusted, public_keys, read, read_access_token, sign, sign_access_token};
