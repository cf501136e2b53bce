//! JSON Web Tokens (RFC 7519): challenge tokens, which are signed here, and access tokens, which an
//! app's issuer signs. The format is `jsonwebtoken`'s; the cryptography is `ring`'s, which the TLS
//! of every function links already.

mod crypto;
mod issuer;
mod own;

pub use issuer::{FetchKeys, IssuerTokens};
pub use jsonwebtoken::jwk::{Jwk, JwkSet};
pub use own::{Signer, Untrusted, public_keys, read, sign};
