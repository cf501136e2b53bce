//! Keyring and signing keys in Secrets Manager.

use crate::peer::{answering, silent};
use passcode_domain::ports::LoadKeyring as _;
use passcode_runtime::{CALL_TIMEOUT, SecretKeyring, SecretSigningKeys};
use passcode_testkit::{TestWorld, conformance};
use passcode_tests::aws::aws_at;
use passcode_tests::stack::Client;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

fn keyring(url: &str) -> SecretKeyring {
    SecretKeyring::new(&aws_at(url), "KeyringSecret".into())
}

#[tokio::test]
async fn a_secret_that_is_no_keyring_is_refused_without_repeating_it() {
    let (url, _) = answering(200, r#"{"SecretString":"{\"root\":\"short-secret\"}"}"#).await;
    let error = keyring(&url).keyring().await.expect_err("it is too short");
    assert!(!error.to_string().contains("short-secret"), "{error}");
}

#[tokio::test]
async fn a_service_that_never_answers_holds_a_request_for_a_bounded_time() {
    let (url, _) = silent().await;
    let began = Instant::now();
    assert!(keyring(&url).keyring().await.is_err());
    assert!(began.elapsed() < CALL_TIMEOUT + Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn it_is_read_once_and_then_remembered() {
    const SECRET: &str = r#"{"SecretString":"{\"root\":\"a-secret-of-at-least-32-characters\"}"}"#;
    let (url, asked) = answering(200, SECRET).await;
    let keyring = keyring(&url);
    let first = keyring.keyring().await.expect("a keyring");
    let second = keyring.keyring().await.expect("a keyring");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_local_stack_has_both() {
    let client = Client::start().await;
    conformance::keyring(&keyring(&client.stack.sink)).await;
    conformance::keyring(&TestWorld::default().keyring).await;
    let aws = aws_at(&client.stack.sink);
    conformance::signing_keys(&SecretSigningKeys::new(&aws, "SigningSecret".into())).await;
    conformance::signing_keys(&TestWorld::default().signing).await;
}
