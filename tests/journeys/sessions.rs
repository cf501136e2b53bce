//! Sessions, as each generation of Prelude's published clients uses them: from sign-in to sign-out.

use passcode_testkit::TestWorld;
use passcode_tests::{
    browser::{Browser, Call, claims, gives_session},
    dpop::ClientKey,
    stack::Client,
};
use serde_json::{Value, json};
use std::time::Duration;

const PHONE: &str = "+14155550100";
const LOGIN_COOKIE: &str = "__verification-login_demo";
const REFRESH_COOKIE: &str = "__Host-refresh_demo";

fn phone() -> Value {
    json!({ "identifier": { "type": "phone_number", "value": PHONE } })
}

/// A browser in which Ada has signed in by her phone with a key, and the access token.
pub(crate) async fn signed_in(client: &Client, key: ClientKey) -> (Browser<'_>, String) {
    let mut browser = Browser::of(&client.api, Some(key));
    assert_eq!(browser.post("/v1/session/login/otp", phone()).await.0, 204);
    let body = json!({ "code": client.last_code(PHONE).await });
    let begun = browser.prove("/v1/session/login/otp/check", Some(body)).await;
    let access = gives_session(&begun);
    (browser, access)
}

/// Sequences A, D and F of the browser client 0.6: the login's check begins the session, bound to a key.
#[tokio::test]
async fn the_browser_client_signs_in_refreshes_and_signs_out() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client.api, Some(ClientKey::default()));
    let (status, _, body) = browser.post("/v1/session/login/otp", phone()).await;
    assert_eq!((status, body), (204, Value::Null));
    assert!(browser.cookies.contains_key(LOGIN_COOKIE));
    let wrong = json!({ "code": TestWorld::wrong(&client.last_code(PHONE).await) });
    let (status, _, refused) = browser.prove("/v1/session/login/otp/check", Some(wrong)).await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad_check_code")));
    client.pass_cool_down();
    let retry = Call::default();
    assert_eq!(browser.call("POST", "/v1/session/login/otp/retry", retry).await.0, 204);
    let right = json!({ "code": client.last_code(PHONE).await });
    let begun = browser.prove("/v1/session/login/otp/check", Some(right)).await;
    let access = gives_session(&begun);
    assert!(!browser.cookies.contains_key(LOGIN_COOKIE), "it is done with");
    assert_eq!(browser.cookies.get(REFRESH_COOKIE), browser.refresh_token.as_ref());

    client.stack.clock.advance(Duration::from_mins(5));
    let list = Call { bearer: Some(&access), ..Call::default() };
    assert_eq!(browser.call("GET", "/v1/session/me/list", list).await.0, 401, "it is over");
    let first = browser.refresh_token.clone();
    let refreshed = gives_session(&browser.prove("/v1/session/refresh", None).await);
    assert_ne!(browser.refresh_token, first, "rotated");
    let list = Call { bearer: Some(&refreshed), ..Call::default() };
    let (status, _, page) =
        browser.call("GET", "/v1/session/me/list?limit=10&offset=0", list).await;
    assert_eq!((status, &page["total"]), (200, &json!(1)));
    assert_eq!(page["sessions"][0]["id"], claims(&json!(refreshed))["sid"]);

    let (status, _, _) = browser.prove("/v1/session/revoke", None).await;
    assert_eq!((status, browser.cookies.contains_key(REFRESH_COOKIE)), (204, false));
    let (status, _, over) = browser.prove("/v1/session/refresh", None).await;
    assert_eq!((status, &over["code"]), (401, &json!("unauthorized")));
    assert_eq!(browser.prove("/v1/session/revoke", None).await.0, 204, "once more is no error");
}

/// Sequence B of the mobile clients: the proof of the address is redeemed with the key, for a token in a
/// header.
#[tokio::test]
async fn a_mobile_client_finalizes_its_login() {
    let client = Client::start().await;
    let mut app = Browser::of(&client.api, Some(ClientKey::default()));
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let mut login = phone();
    login["code_challenge"] = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into();
    assert_eq!(app.post("/v1/session/otp", login).await.0, 204);
    let body = json!({ "code": client.last_code(PHONE).await });
    let (status, _, proof) = app.post("/v1/session/otp/check", body).await;
    assert_eq!(
        (status, &claims(&proof["challenge_token"])["current_step"]),
        (200, &json!("completed"))
    );
    let (status, _, refused) = app.prove("/v1/session/login/finalize", Some(proof.clone())).await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad_request")), "the secret is missing");
    let mut body = proof;
    body["code_verifier"] = verifier.into();
    let begun = app.prove("/v1/session/login/finalize", Some(body.clone())).await;
    gives_session(&begun);
    app.key = Some(ClientKey::default());
    let (status, _, refused) = app.prove("/v1/session/login/finalize", Some(body)).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("token_reused")),
        "somebody else has a copy"
    );
    let (status, _, refused) = app.prove("/v1/session/refresh", Some(json!({}))).await;
    assert_eq!((status, &refused["code"]), (400, &json!("dpop_key_mismatch")));
}

/// Sequence C of the browser clients until 0.3: nothing but cookies.
#[tokio::test]
async fn the_old_browser_client_lives_by_its_cookie() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client.api, None);
    assert_eq!(browser.post("/v1/session/login/otp", phone()).await.0, 204);
    let body = json!({ "code": client.last_code(PHONE).await });
    assert_eq!(browser.post("/v1/session/login/otp/check", body).await.0, 200);
    let first = browser.cookies[REFRESH_COOKIE].clone();
    let refreshed = browser.call("POST", "/v1/session/refresh", Call::default()).await;
    assert_eq!(claims(&json!(gives_session(&refreshed)))["cc"], json!({}));
    // A second tab that still has the cookie of before is given the same one.
    let second = browser.cookies.insert(REFRESH_COOKIE.into(), first.clone()).expect("a cookie");
    gives_session(&browser.call("POST", "/v1/session/refresh", Call::default()).await);
    assert_eq!(browser.cookies[REFRESH_COOKIE], second);
    // Somebody with a copy of a spent cookie ends the session for both.
    client.stack.clock.advance(Duration::from_mins(1));
    browser.cookies.insert(REFRESH_COOKIE.into(), first);
    assert_eq!(browser.call("POST", "/v1/session/refresh", Call::default()).await.0, 401);
    browser.cookies.insert(REFRESH_COOKIE.into(), second);
    assert_eq!(browser.call("POST", "/v1/session/refresh", Call::default()).await.0, 401);
}

/// Sequence E: a signed-in user steps up, and the next access token has the scope.
#[tokio::test]
async fn a_signed_in_user_steps_up() {
    let client = Client::start().await;
    let (mut browser, access) = signed_in(&client, ClientKey::default()).await;
    let body = Some(json!({ "scope": "transfer", "metadata": { "amount": "20" } }));
    let request = Call { body, bearer: Some(&access), ..Call::default() };
    let (status, _, review) = browser.call("POST", "/v1/session/stepup/request", request).await;
    assert_eq!((status, &review["status"]), (200, &json!("review")));
    let challenge = claims(&review["challenge_token"]);
    assert_eq!(
        (&challenge["current_step"], &challenge["metadata"]["amount"]),
        (&json!("verify_sms"), &json!("20"))
    );
    assert_eq!(challenge["sid"], claims(&json!(access))["sid"]);
    client.pass_cool_down();
    let body = json!({ "challenge_token": review["challenge_token"] });
    assert_eq!(browser.post("/v1/session/otp", body).await.0, 204);
    let body = json!({ "code": client.last_code(PHONE).await, "challenge_token": review["challenge_token"] });
    let jti = challenge["jti"].as_str().expect("a name");
    let check = Call { body: Some(body), jti: Some(jti), is_proven: true, ..Call::default() };
    let (status, _, proof) = browser.call("POST", "/v1/session/otp/check", check).await;
    assert_eq!(status, 200, "{proof}");
    let body = json!({ "step_up_token": proof["challenge_token"] });
    let granted = gives_session(&browser.prove("/v1/session/refresh", Some(body.clone())).await);
    assert_eq!(claims(&json!(granted))["scope"], "transfer");
    let (status, _, refused) = browser.prove("/v1/session/refresh", Some(body)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("token_reused")));
    let next = gives_session(&browser.prove("/v1/session/refresh", None).await);
    assert_eq!(claims(&json!(next))["scope"], "", "it was good for one token");
}

/// A user ends the sessions of other devices, and an administrator those of a user.
#[tokio::test]
async fn sessions_are_ended_from_elsewhere() {
    let client = Client::start().await;
    let mut browsers = Vec::new();
    for _ in 0..2 {
        let (browser, access) = signed_in(&client, ClientKey::default()).await;
        browsers.push((access, browser));
        client.pass_cool_down();
    }
    let [(_, first), (access, second)] = &mut browsers[..] else { unreachable!() };
    let others = Call { bearer: Some(access), ..Call::default() };
    let ended = second.call("POST", "/v1/session/me/revoke?target=others", others).await;
    assert_eq!(ended.0, 204);
    assert_eq!(first.prove("/v1/session/refresh", None).await.0, 401);
    assert_eq!(second.prove("/v1/session/refresh", None).await.0, 200);
}
