//! Tokens that must not be believed and issuers that must not be pestered; then those that count.

use super::*;
use crate::Signer;
use data_encoding::BASE64URL_NOPAD;
use passcode_testkit::schedule::block_on;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;
use std::sync::MutexGuard;

const ISSUER: &str = "https://issuer.example";
const DISCOVERY: &str = "https://issuer.example/.well-known/openid-configuration";
const KEYS: &str = "https://keys.example/jwks.json";
const NOW: u64 = 1_800_000_000;
const SEED: [u8; 32] = [7; 32];

/// The modulus of an RSA key that was made for these tests; its private half was thrown away.
const RSA_MODULUS: &str = concat!(
    "rSFOHiA_JBfdSzXLJ5Mjlraw8Au42o51Y2O4_6Z0UXfLTWm2d7zoyLvaIGVqxpET15DicJq7b4aO9tPhzJSwvKJ0",
    "paDk_mRZB04dSrMoz4rznpHqU7Mo4sdhfNK3-M9DpChLMArAE5t5I2Kne4UmlIMs-An8bM_YlVBApbgNVyjHPQwN",
    "HHQoajhxzp4kYao37O2r--HrqUvtcFqB146xpfOgV9N3mPrgBd1E6DuL6cj29CUwo9FzWEScwj3TpK9akr64y8SY",
    "INjmaaxK81JpiZL0v8BipfvgWrtWNlCxDBKcWVgnmVhPLa3DSxjCo4w4OE3ZLhCVOm7FCasdw9ecoQ",
);

/// What that key signed: a token as [`claims`] describes them.
const RSA_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoicGFzc2NvZGUiLCJzdWIiOiJhZGEiLCJzY29w",
    "ZSI6Im90cDphZG1pbiIsImV4cCI6MTgwMDAwMzYwMH0.",
    "m8BakV4TY4DXJEqMufDpQ8_vnrf9H3xt4Hs9KFmEicOMpu0safz_P0nFTOkjEiRB6tahDreaRJLGOlegi7WPEHK7",
    "KaL6034Wd3dIMHZCH6lWo9rm5_aEKEenFRN2KEGAbufGUOJUG7j3kzuOYF_nDC7eFm3Q0FJxGetTkBy2A9K4AZP_",
    "6Hj8RGmXWDExfSJ8rXViskeBoNBMPADFpCAbMR3Nu-ySOkzRTnYPEbgnuBmpCJYx9rMCANQ1PS0H70WEAkkKxhAt",
    "834124SA4WRcj7qd3PcEqXJH9QhV2Gj4CpNanfDshp6-JFHxPo9V4GQJbIeykX7-wwBhxhkRURr5Sg",
);

/// What an issuer publishes, and how often it was asked.
#[derive(Debug, Default)]
struct Site {
    documents: HashMap<String, Vec<u8>>,
    is_down: bool,
    asked: usize,
}

/// A clone is the same site.
#[derive(Clone, Debug, Default)]
struct FakeSite(Arc<Mutex<Site>>);

impl FakeSite {
    fn lock(&self) -> MutexGuard<'_, Site> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, url: &str, document: &Value) {
        self.lock().documents.insert(url.to_owned(), document.to_string().into());
    }
}

impl FetchKeys for FakeSite {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Cause> {
        let mut site = self.lock();
        site.asked += 1;
        let document = site.documents.get(url).filter(|_| !site.is_down).cloned();
        document.ok_or_else(|| "told to fail".into())
    }
}

/// An issuer, and somebody who reads its tokens.
struct World {
    site: FakeSite,
    tokens: IssuerTokens<FakeSite>,
    issuer: Issuer,
    now: Timestamp,
}

impl World {
    /// An issuer whose keys are at a known place.
    fn with(keys: &Value) -> Self {
        let world = Self::discovered(None, keys);
        Self { issuer: Issuer { jwks_url: Some(KEYS.into()), ..world.issuer.clone() }, ..world }
    }

    /// An issuer that says itself where its keys are.
    fn discovered(discovery: Option<&Value>, keys: &Value) -> Self {
        let site = FakeSite::default();
        site.publish(KEYS, &json!({ "keys": keys }));
        if let Some(discovery) = discovery {
            site.publish(DISCOVERY, discovery);
        }
        let (url, audience) = (ISSUER.to_owned(), "passcode".to_owned());
        let issuer = Issuer { url, audience, jwks_url: None, linked_identity_claim: None };
        let tokens = IssuerTokens::new(site.clone());
        Self { site, tokens, issuer, now: Timestamp::from_millis(NOW * 1000) }
    }

    fn publish(&self, keys: &Value) {
        self.site.publish(KEYS, &json!({ "keys": keys }));
    }

    fn set_down(&self, is_down: bool) {
        self.site.lock().is_down = is_down;
    }

    /// How often the issuer was asked since the last time this was asked.
    fn take_asked(&self) -> usize {
        std::mem::take(&mut self.site.lock().asked)
    }

    fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn read(&self, token: &str) -> Result<Bearer, TokenError> {
        block_on(self.tokens.read_token(&self.issuer, token, self.now))
    }

    #[track_caller]
    fn reads(&self, token: &str) -> Bearer {
        self.read(token).unwrap()
    }

    #[track_caller]
    fn refuses(&self, token: &str) {
        match self.read(token) {
            Err(TokenError::Invalid(cause)) => {
                let told = format!("{cause} {cause:?}");
                assert!(!told.contains("ada"), "{told}");
            }
            other => panic!("{token:.300}: {other:?}"),
        }
    }

    #[track_caller]
    fn knows_nothing_of(&self, token: &str) {
        let read = self.read(token);
        assert!(matches!(read, Err(TokenError::Unavailable(_))), "{read:?}");
    }
}

/// The claims of a token that counts.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "passcode", "sub": "ada", "scope": "otp:admin", "exp": NOW + 3600,
    })
}

/// The same with one claim changed, or, where the value is null, without it.
fn with(name: &str, value: &Value) -> Value {
    let mut claims = claims();
    let fields = claims.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(name),
        value => fields.insert(name.to_owned(), value.clone()),
    };
    claims
}

/// An Ed25519 key, and what it signs.
fn public(kid: &str, seed: &[u8; 32]) -> Value {
    serde_json::to_value(Signer::new(kid, seed).public_key()).unwrap()
}

fn signed(kid: &str, seed: &[u8; 32], claims: &Value) -> String {
    Signer::new(kid, seed).sign("at+jwt", claims).unwrap()
}

fn token(claims: &Value) -> String {
    signed("ed", &SEED, claims)
}

/// A token with any header and any signature.
fn forged(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = BASE64URL_NOPAD.encode(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn rsa(kid: &str) -> Value {
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": RSA_MODULUS, "e": "AQAB" })
}

/// A P-256 key, its public half by this name, and what it signs.
struct Ec(EcdsaKeyPair);

impl Ec {
    fn new() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, pair.as_ref(), &random).unwrap())
    }

    fn public(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64URL_NOPAD.encode(half));
        json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": x, "y": y })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let sign =
            |message: &[u8]| self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        forged(header, claims, sign)
    }
}

/// A key with one member changed, or, where the value is null, without it.
fn but(mut key: Value, name: &str, value: &Value) -> Value {
    let fields = key.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(name),
        value => fields.insert(name.to_owned(), value.clone()),
    };
    key
}

#[test]
fn what_the_issuer_did_not_sign_is_not_believed() {
    let ed = public("ed", &SEED);
    let world = World::with(&json!([ed, rsa("rsa"), Ec::new().public("ec")]));
    let good = token(&claims());
    world.reads(&good);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    let other =
        forged(&json!({ "alg": "EdDSA", "kid": "ed" }), &with("sub", &json!("eve")), |_| {
            BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()
        });
    for token in [
        String::new(),
        "demo-admin".to_owned(),
        "a.b.c".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{header}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{good}.{signature}"),
        format!("{message}.{}", &signature[..84]),
        format!("{message}.{signature}="),
        signed("ed", &[8; 32], &claims()),
        other,
    ] {
        world.refuses(&token);
    }
    for alg in ["none", "None", "nOnE", "", "HS512", "PS256", "RS512", "ES384", "ada"] {
        for kid in ["ed", "rsa", "ec"] {
            let header = json!({ "alg": alg, "kid": kid });
            world.refuses(&forged(&header, &claims(), |_| Vec::new()));
            world.refuses(&forged(&header, &claims(), |_| vec![0; 64]));
        }
    }
}

#[test]
fn a_public_key_is_nobodys_shared_secret() {
    let ec = Ec::new();
    let oct =
        json!({ "kty": "oct", "kid": "oct", "k": BASE64URL_NOPAD.encode(b"a shared secret") });
    let keys = [public("ed", &SEED), rsa("rsa"), ec.public("ec"), oct];
    let world = World::with(&json!(keys));
    for key in &keys {
        let name = |member: &str| key[member].as_str().unwrap_or_default();
        let secret = [name("x"), name("n"), name("k")].concat();
        let bytes = BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
        for secret in [secret.into_bytes(), bytes, key.to_string().into_bytes()] {
            let header = json!({ "alg": "HS256", "kid": key["kid"] });
            let sign = |message: &[u8]| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                hmac::sign(&key, message).as_ref().to_vec()
            };
            world.refuses(&forged(&header, &claims(), sign));
        }
    }
}

#[test]
fn a_key_verifies_nothing_but_what_its_own_kind_signs() {
    let ec = Ec::new();
    let world = World::with(&json!([public("ed", &SEED), rsa("rsa"), ec.public("ec")]));
    for (alg, own) in [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")] {
        for kid in ["rsa", "ec", "ed"].into_iter().filter(|kid| *kid != own) {
            let header = json!({ "alg": alg, "kid": kid });
            world.refuses(&ec.sign(&header, &claims()));
            world.refuses(&forged(&header, &claims(), |_| vec![1; 256]));
        }
    }
    let rest = RSA_TOKEN.split_once('.').unwrap().1;
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"ES256","kid":"rsa"}"#);
    world.refuses(&format!("{header}.{rest}"));
}

#[test]
fn broken_keys_verify_nothing_and_disturb_nobody() {
    let (ec, ed) = (Ec::new(), public("odd", &SEED));
    let odd_ec = ec.public("odd");
    let short = json!(BASE64URL_NOPAD.encode(&[1; 31]));
    let long = json!(BASE64URL_NOPAD.encode(&[1; 4000]));
    for key in [
        but(ed.clone(), "x", &short),
        but(ed.clone(), "x", &long),
        but(ed.clone(), "x", &json!("")),
        but(ed.clone(), "x", &json!("no base64!")),
        but(ed.clone(), "x", &Value::Null),
        but(ed.clone(), "crv", &json!("X25519")),
        but(ed, "kty", &json!("AKP")),
        but(odd_ec.clone(), "x", &short),
        but(odd_ec.clone(), "y", &json!("")),
        but(odd_ec.clone(), "y", &Value::Null),
        but(odd_ec.clone(), "crv", &json!("P-384")),
        but(odd_ec, "y", &long),
        but(rsa("odd"), "n", &json!("")),
        but(rsa("odd"), "n", &short),
        but(rsa("odd"), "e", &json!("")),
        but(rsa("odd"), "e", &json!("AA")),
        but(rsa("odd"), "e", &Value::Null),
        json!({ "kid": "odd" }),
    ] {
        let world = World::with(&json!([key, public("ed", &SEED)]));
        for alg in ["RS256", "ES256", "EdDSA"] {
            let header = json!({ "alg": alg, "kid": "odd" });
            world.refuses(&forged(&header, &claims(), |_| vec![1; 64]));
            world.refuses(&forged(&header, &claims(), |_| vec![1; 256]));
            world.refuses(&ec.sign(&header, &claims()));
        }
        world.refuses(&signed("odd", &SEED, &with("sub", &Value::Null)));
        world.reads(&token(&claims()));
    }
}

#[test]
fn a_key_that_is_meant_for_something_else_is_not_used() {
    for odd in ["enc", "", "SIG", "tls"] {
        let world = World::with(&json!([but(public("ed", &SEED), "use", &json!(odd))]));
        world.refuses(&token(&claims()));
    }
    let world = World::with(&json!([but(public("ed", &SEED), "use", &Value::Null)]));
    world.reads(&token(&claims()));
}

#[test]
fn a_name_that_repeats_means_the_key_that_suits() {
    let encrypts = but(public("ed", &[8; 32]), "use", &json!("enc"));
    for others in [
        json!([encrypts, rsa("ed"), public("ed", &SEED)]),
        json!([rsa("ed"), public("ed", &SEED), encrypts]),
        json!([Ec::new().public("ed"), public("ed", &SEED)]),
    ] {
        World::with(&others).reads(&token(&claims()));
    }
    World::with(&json!([public("rsa", &SEED), rsa("rsa")])).reads(RSA_TOKEN);
}

#[test]
fn a_token_that_names_no_key_is_read_where_only_one_suits() {
    let ec = Ec::new();
    let unnamed = ec.sign(&json!({ "alg": "ES256" }), &claims());
    let all = [ec.public("ec"), public("ed", &SEED), rsa("rsa")];
    World::with(&json!(all)).reads(&unnamed);
    World::with(&json!([but(ec.public("ec"), "kid", &Value::Null)])).reads(&unnamed);
    World::with(&json!([ec.public("ec"), Ec::new().public("new")])).refuses(&unnamed);
    World::with(&json!([])).refuses(&unnamed);
}

#[test]
fn extensions_that_must_be_understood_are_not() {
    let ec = Ec::new();
    let world = World::with(&json!([ec.public("ec")]));
    for extension in [json!(["b64"]), json!([]), json!(["exp"])] {
        let header = json!({ "alg": "ES256", "kid": "ec", "b64": true, "crit": extension });
        world.refuses(&ec.sign(&header, &claims()));
    }
    let own_key = json!({ "alg": "ES256", "kid": "mine", "jwk": Ec::new().public("mine") });
    world.refuses(&ec.sign(&own_key, &claims()));
}

#[test]
fn an_oversized_token_is_not_looked_at() {
    let world = World::with(&json!([public("ed", &SEED)]));
    let long = token(&with("note", &json!("n".repeat(MAX_TOKEN))));
    world.refuses(&long);
    world.refuses(&"a.".repeat(MAX_TOKEN));
    assert_eq!(world.take_asked(), 0);
    world.reads(&token(&with("note", &json!("n".repeat(4000)))));
}

#[test]
fn claims_that_are_missing_or_somebody_elses_are_refused() {
    let world = World::with(&json!([public("ed", &SEED)]));
    for (name, value) in [
        ("iss", Value::Null),
        ("iss", json!("")),
        ("iss", json!("https://issuer.example/")),
        ("iss", json!("https://issuer.example.evil.example")),
        ("iss", json!(5)),
        ("aud", Value::Null),
        ("aud", json!("")),
        ("aud", json!("other")),
        ("aud", json!("passcode ")),
        ("aud", json!([])),
        ("aud", json!(["other", "another"])),
        ("aud", json!({ "passcode": true })),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(5)),
        ("sub", json!(["ada"])),
        ("sub", json!("ada lovelace")),
        ("sub", json!("ada\n")),
        ("sub", json!("ada\u{0}")),
        ("sub", json!("ad\u{e1}")),
        ("sub", json!("a".repeat(256))),
        ("exp", Value::Null),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(f64::MAX)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MIN)),
        ("exp", json!("1800003600")),
        ("exp", json!([NOW + 3600])),
        ("nbf", json!(u64::MAX)),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
    ] {
        world.refuses(&token(&with(name, &value)));
    }
    let null = token(
        &with("nbf", &Value::Null).to_string().replace('}', ",\"nbf\":null}").parse().unwrap(),
    );
    world.refuses(&null);
    for text in ["[]", "null", "5", "\"ada\"", "{}"] {
        world.refuses(&token(&text.parse().unwrap()));
    }
    let audiences = world.reads(&token(&with("aud", &json!(["other", "passcode"]))));
    assert_eq!(audiences.user.as_str(), "ada");
}

#[test]
fn a_session_is_the_text_that_names_one() {
    let world = World::with(&json!([public("ed", &SEED)]));
    let session = |sid: Value| world.reads(&token(&with("sid", &sid))).session;
    assert_eq!(session(json!("ses_1")).as_deref(), Some("ses_1"));
    for none in [json!(null), json!(1), json!(["ses_1"])] {
        assert_eq!(session(none.clone()), None, "{none}");
    }
}

#[test]
fn a_token_is_in_force_from_nbf_to_exp_with_a_minute_on_either_side() {
    let world = World::with(&json!([public("ed", &SEED)]));
    for (name, moment, is_read) in [
        ("exp", NOW + 1, true),
        ("exp", NOW, true),
        ("exp", NOW - 59, true),
        ("exp", NOW - 60, false),
        ("exp", NOW - 61, false),
        ("nbf", NOW, true),
        ("nbf", NOW + 60, true),
        ("nbf", NOW + 61, false),
    ] {
        let token = token(&with(name, &json!(moment)));
        assert_eq!(world.read(&token).is_ok(), is_read, "{name} {moment}");
    }
    for (exp, is_read) in [(-59.5, true), (-60.5, false)] {
        let moment = json!(f64::from(u32::try_from(NOW).unwrap()) + exp);
        assert_eq!(world.read(&token(&with("exp", &moment))).is_ok(), is_read, "{exp}");
    }
}

#[test]
fn made_up_keys_cannot_be_turned_against_the_issuer() {
    let mut world = World::with(&json!([public("ed", &SEED)]));
    let unknown = signed("new", &SEED, &claims());
    world.refuses(&unknown);
    assert_eq!(world.take_asked(), 1, "the first keys there are");
    for _ in 0..50 {
        world.refuses(&unknown);
        world.refuses(&signed("another", &SEED, &claims()));
        world.reads(&token(&claims()));
    }
    world.advance(Duration::from_millis(9_999));
    world.refuses(&unknown);
    assert_eq!(world.take_asked(), 0);
    world.advance(Duration::from_millis(1));
    for _ in 0..50 {
        world.refuses(&unknown);
    }
    assert_eq!(world.take_asked(), 1);
}

#[test]
fn rotated_keys_are_found_and_old_ones_forgotten() {
    let mut world = World::with(&json!([public("old", &SEED)]));
    let [old, new] = [("old", &SEED), ("new", &[8; 32])].map(|(k, s)| signed(k, s, &claims()));
    world.reads(&old);
    world.publish(&json!([public("new", &[8; 32])]));
    world.refuses(&new);
    world.advance(Duration::from_secs(10));
    world.reads(&new);
    world.refuses(&old);
    assert_eq!(world.take_asked(), 2);
}

#[test]
fn keys_are_fetched_once_an_hour() {
    let mut world = World::with(&json!([public("ed", &SEED)]));
    let token = token(&with("exp", &json!(NOW + 86_400)));
    for _ in 0..50 {
        world.reads(&token);
    }
    world.advance(Duration::from_hours(1) - Duration::from_millis(1));
    world.reads(&token);
    assert_eq!(world.take_asked(), 1);
    world.publish(&json!([]));
    world.advance(Duration::from_millis(1));
    world.refuses(&token);
    assert_eq!(world.take_asked(), 1);
}

#[test]
fn without_any_keys_nothing_is_known_and_the_issuer_is_left_in_peace() {
    let mut world = World::with(&json!([public("ed", &SEED)]));
    let token = token(&claims());
    world.set_down(true);
    for _ in 0..50 {
        world.knows_nothing_of(&token);
    }
    assert_eq!(world.take_asked(), 1);
    world.advance(Duration::from_secs(10));
    world.knows_nothing_of(&token);
    assert_eq!(world.take_asked(), 1);
    world.set_down(false);
    world.knows_nothing_of(&token);
    assert_eq!(world.take_asked(), 0);
    world.advance(Duration::from_secs(10));
    world.reads(&token);
}

#[test]
fn while_the_issuer_is_silent_its_last_keys_count_for_a_day() {
    let mut world = World::with(&json!([public("ed", &SEED)]));
    let token = token(&with("exp", &json!(NOW + 200_000)));
    world.reads(&token);
    world.set_down(true);
    world.take_asked();
    world.advance(Duration::from_hours(1));
    for _ in 0..50 {
        world.reads(&token);
    }
    assert_eq!(world.take_asked(), 1);
    world.advance(Duration::from_hours(23) - Duration::from_millis(1));
    world.reads(&token);
    assert_eq!(world.take_asked(), 1);
    world.advance(Duration::from_millis(1));
    world.knows_nothing_of(&token);
    world.advance(Duration::from_secs(10));
    world.knows_nothing_of(&token);
    assert_eq!(world.take_asked(), 1);
    world.set_down(false);
    world.advance(Duration::from_secs(10));
    world.reads(&token);
}

#[test]
fn a_new_key_of_a_silent_issuer_may_be_real() {
    let mut world = World::with(&json!([public("ed", &SEED)]));
    world.reads(&token(&claims()));
    world.set_down(true);
    world.advance(Duration::from_secs(10));
    let new = signed("new", &SEED, &claims());
    for _ in 0..2 {
        world.knows_nothing_of(&new);
    }
    world.reads(&token(&claims()));
    assert_eq!(world.take_asked(), 2);
}

#[test]
fn documents_that_are_no_issuers_are_not_followed() {
    let keys = json!([public("ed", &SEED)]);
    let discovery = |issuer: &str, url: &str| json!({ "issuer": issuer, "jwks_uri": url });
    for odd in [
        discovery("https://evil.example", KEYS),
        discovery("https://issuer.example/", KEYS),
        discovery("", KEYS),
        discovery(ISSUER, "http://keys.example/jwks.json"),
        discovery(ISSUER, "file:///etc/passwd"),
        discovery(ISSUER, "http://localhost.evil.example:80/jwks.json"),
        discovery(ISSUER, ""),
        json!({ "issuer": ISSUER }),
        json!({ "jwks_uri": KEYS }),
        json!([]),
    ] {
        let world = World::discovered(Some(&odd), &keys);
        world.site.publish("http://keys.example/jwks.json", &json!({ "keys": keys }));
        world.knows_nothing_of(&token(&claims()));
        assert_eq!(world.take_asked(), 1, "{odd}");
    }
    World::discovered(None, &keys).knows_nothing_of(&token(&claims()));
    for odd in [json!({}), json!([]), json!({ "keys": {} }), json!("keys")] {
        let world = World::with(&keys);
        world.site.publish(KEYS, &odd);
        world.knows_nothing_of(&token(&claims()));
    }
}

#[test]
fn an_issuer_says_itself_where_its_keys_are() {
    let keys = json!([public("ed", &SEED)]);
    let discovery = json!({ "issuer": ISSUER, "jwks_uri": KEYS, "more": [1] });
    let world = World::discovered(Some(&discovery), &keys);
    for _ in 0..2 {
        world.reads(&token(&claims()));
    }
    assert_eq!(world.take_asked(), 2, "the document and the keys");

    let slash = "https://issuer.example/";
    let discovery = json!({ "issuer": slash, "jwks_uri": KEYS });
    let world = World::discovered(Some(&discovery), &keys);
    let issuer = Issuer { url: slash.into(), ..world.issuer.clone() };
    World { issuer, ..world }.reads(&token(&with("iss", &json!(slash))));
}

#[test]
fn one_issuers_keys_are_not_anothers() {
    let world = World::with(&json!([public("ed", &SEED)]));
    world.reads(&token(&claims()));
    let other = Issuer {
        url: "https://other.example".into(),
        jwks_url: Some("https://other.example/keys".into()),
        ..world.issuer.clone()
    };
    world.site.publish("https://other.example/keys", &json!({ "keys": [public("ed", &[8; 32])] }));
    let world = World { issuer: other, ..world };
    world.refuses(&token(&with("iss", &json!("https://other.example"))));
    world.reads(&signed("ed", &[8; 32], &with("iss", &json!("https://other.example"))));
}

#[test]
fn scopes_come_as_a_text_or_as_a_list() {
    let world = World::with(&json!([public("ed", &SEED)]));
    for (scope, scp, expected) in [
        (Value::Null, Value::Null, vec![]),
        (json!(""), json!([]), vec![]),
        (json!(5), json!({ "otp:admin": true }), vec![]),
        (json!("a b  a"), Value::Null, vec!["a", "b"]),
        (Value::Null, json!(["a", "b", 5]), vec!["a", "b"]),
        (Value::Null, json!("a b"), vec!["a", "b"]),
        (json!(["a"]), json!("b"), vec!["a", "b"]),
    ] {
        let claims = but(but(claims(), "scope", &scope), "scp", &scp);
        let read = world.reads(&token(&claims)).scopes;
        assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn every_algorithm_is_read() {
    let ec = Ec::new();
    let world = World::with(&json!([rsa("rsa"), ec.public("ec"), public("ed", &SEED)]));
    let by_ec = ec.sign(&json!({ "alg": "ES256", "kid": "ec", "typ": "at+jwt" }), &claims());
    for token in [RSA_TOKEN, &by_ec, &token(&claims())] {
        let bearer = world.reads(token);
        assert_eq!(bearer.user.as_str(), "ada");
        assert!(bearer.scopes.iter().eq(["otp:admin"]));
        assert!(bearer.claims.iter().eq(["aud", "exp", "iss", "scope", "sub"]));
    }
    assert_eq!(world.take_asked(), 1);
}
