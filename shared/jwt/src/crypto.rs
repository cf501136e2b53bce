//! What `jsonwebtoken` signs and verifies with: `ring`. Verifies RS256, ES256 and EdDSA; signs
//! EdDSA, with a key that is the 32 bytes of its seed.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use signature::{Error, Signer, Verifier};

/// Makes `jsonwebtoken` use this. It has to happen before its first use, and may happen again.
pub(crate) fn install() {
    // An error means that it has happened.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Seed::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(PublicKey::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Seed(Ed25519KeyPair);

impl Seed {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self> {
        if algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(key.as_bytes());
        pair.map(Self).map_err(|_| ErrorKind::InvalidEddsaKey.into())
    }
}

impl Signer<Vec<u8>> for Seed {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Seed {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Curve(&'static dyn VerificationAlgorithm, Vec<u8>),
}

struct PublicKey {
    algorithm: Algorithm,
    material: Material,
}

impl PublicKey {
    /// A key verifies what its own family signs, and nothing else: a token cannot choose to have an
    /// RSA key read as something weaker.
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        let material = match (algorithm, key.family(), key.kind()) {
            (
                Algorithm::RS256,
                AlgorithmFamily::Rsa,
                DecodingKeyKind::RsaModulusExponent { n, e },
            ) => Material::Rsa { n: n.clone(), e: e.clone() },
            (Algorithm::ES256, AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
                Material::Curve(&ECDSA_P256_SHA256_FIXED, point.clone())
            }
            (Algorithm::EdDSA, AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(point)) => {
                Material::Curve(&ED25519, point.clone())
            }
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        };
        Ok(Self { algorithm, material })
    }
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let verified = match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::Curve(algorithm, point) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
