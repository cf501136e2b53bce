//! `GET /.well-known/jwks.json`.

use passcode_domain::SigningKeys;
use passcode_testkit::{FakeSigningKeys, TestWorld};
use passcode_tests::event::{Event, Reply, reply};
use prelude_jwks::handle;

fn call(signing: FakeSigningKeys) -> Reply {
    let world = &TestWorld { signing, ..TestWorld::default() };
    let event = Event::recorded("prelude-jwks", "keys");
    reply(&event, async |request, record| handle(world, request, record).await)
}

#[test]
fn without_the_secret_there_are_no_keys() {
    let reply = call(FakeSigningKeys::none());
    assert_eq!((reply.status, &reply.json["code"]), (500, &"internal".into()));
}

#[test]
fn the_current_key_and_the_one_before_are_published_and_nothing_secret_is() {
    let secret = r#"{"root":"signs-with-at-least-32-characters"}"#;
    let reply = call(TestWorld::default().signing);
    let keys = reply.json["keys"].as_array().unwrap();
    assert_eq!((reply.status, keys.len()), (200, 1));
    let fields: Vec<_> = keys[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"], "and so no `d`");

    let rotated = SigningKeys::rotated(secret, "another-secret-of-at-least-32-characters").unwrap();
    let keys = SigningKeys::from_secret(&rotated).unwrap();
    let rotated = call(FakeSigningKeys::of(keys));
    assert_eq!(rotated.json["keys"].as_array().unwrap().len(), 2);
    assert_eq!(rotated.json["keys"][1], reply.json["keys"][0], "what was signed still verifies");
}
