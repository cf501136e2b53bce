//! What exists only on this machine: inbox, clock, issuer, documentation; and what the gateway does.

use passcode_tests::stack::Client;
use serde_json::json;

async fn text(client: &Client, path: &str) -> (u16, String, String) {
    let response = client.request("GET", path, false).send().await.expect("an answer");
    let media = response.headers()["content-type"].to_str().expect("text").to_owned();
    (response.status().as_u16(), media, response.text().await.expect("a body"))
}

#[tokio::test]
async fn routes_match_to_the_letter() {
    let client = Client::start().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/auth/v1/create"),
        ("POST", "/auth/v1/create/"),
        ("POST", "/auth/v2/status"),
        ("POST", "/auth/otp/"),
        ("POST", "/auth/otp/a/b"),
        ("HEAD", "/auth/v2/status"),
        ("GET", "/_local/nothing"),
    ] {
        let (status, body) = client.send(client.request(method, path, true)).await;
        assert_eq!(status, 404, "{method} {path}");
        assert!(method == "HEAD" || body == json!({ "message": "Not Found" }), "{method} {path}");
    }
}

#[tokio::test]
async fn odd_paths_and_bodies_are_no_server_errors() {
    let client = Client::start().await;
    for path in ["/auth/otp/%FF%FE", "/auth/otp/%00", "/auth/otp/%2e%2e%2f", "/auth/otp/ä"] {
        let (status, _) = client.verify(&path["/auth/otp/".len()..], "123456").await;
        assert_eq!(status, 400, "{path}");
    }
    let binary = client.request("POST", "/auth/v1/create", true).body(vec![0xff, 0x00, 0xfe]);
    assert_eq!(client.send(binary.header("content-type", "application/json")).await.0, 400);
    let huge = client.request("POST", "/auth/v1/create", true).body(vec![b'a'; 2_000_000]);
    assert_eq!(client.send(huge).await.0, 400);
    for (name, value) in
        [("x-forwarded-proto", "://"), ("x-forwarded-host", "a b"), ("host", "a b")]
    {
        let odd = client.request("POST", "/auth/v1/create", true).header(name, value);
        assert_eq!(client.send(odd.body("{")).await.0, 400, "{name}: {value}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_cannot_read_the_inbox() {
    let client = Client::start().await;
    let rebound = client.request("GET", "/_local/messages", false).header("host", "evil.example");
    assert_eq!(client.send(rebound).await.0, 403);
}

#[tokio::test]
async fn the_inbox_lists_messages_newest_first_and_by_address() {
    let client = Client::start().await;
    assert!(client.messages("+14155550100").await.is_empty());
    for (body, channel) in [
        (json!({ "phoneNumber": "4155550100", "countryCode": "1" }), "SMS"),
        (json!({ "email": "ada@example.com" }), "EMAIL"),
    ] {
        let id = client.create(body).await;
        assert_eq!(client.initiate(&id, channel).await.0, 200);
    }
    let (_, all) = client.send(client.request("GET", "/_local/messages", false)).await;
    let channels: Vec<_> = all.as_array().expect("a list").iter().map(|m| &m["channel"]).collect();
    assert_eq!(channels, ["email", "sms"]);
    let message = all[0].as_object().expect("a message");
    for field in ["id", "channel", "to", "from", "subject", "text", "html", "at"] {
        assert!(message[field].is_string(), "{field}");
    }
    let plus_unescaped = client.request("GET", "/_local/messages?to=+14155550100", false);
    let (_, one) = client.send(plus_unescaped).await;
    assert_eq!(one.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_inbox_page_is_pushed_every_change() {
    let client = Client::start().await;
    let live = client.request("GET", "/_local/messages/live", false).send().await;
    let mut live = live.expect("an answer");
    let first = live.chunk().await.expect("an event").expect("an event");
    assert_eq!(&first[..], b"data: changed\n\n");
    let id = client.create(json!({ "email": "ada@example.com" })).await;
    client.initiate(&id, "EMAIL").await;
    let second = live.chunk().await.expect("an event").expect("an event");
    assert_eq!(&second[..], b"data: changed\n\n");
}

#[tokio::test]
async fn pages_and_documents_are_served() {
    let client = Client::start().await;
    for (path, media, part) in [
        ("/_local/", "text/html", "Inbox"),
        ("/_local/docs/", "text/html", "swagger-ui"),
        ("/_local/docs/swagger-ui.css", "text/css", ".swagger-ui"),
        ("/_local/docs/swagger-initializer.js", "javascript", "/_local/openapi.json"),
        ("/_local/openapi.json", "application/json", "\"openapi\":\"3.1"),
        ("/_local/sign-in/", "text/html", "one-time-code"),
        ("/_local/sign-in/sign-in.css", "text/css", "prefers-color-scheme"),
        ("/_local/sign-in/sign-in.js", "text/javascript", "./prelude.js"),
        ("/_local/sign-in/prelude.js", "text/javascript", "/v1/session/"),
    ] {
        let (status, found, body) = text(&client, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(found.contains(media) && body.contains(part), "{path}: {found}");
    }
    for path in ["/_local/docs", "/_local/sign-in"] {
        let (_, body) = client.send(client.request("GET", path, false)).await;
        assert!(body.is_null(), "a redirect to the page");
    }
}

#[tokio::test]
async fn the_issuer_signs_for_whoever_asks() {
    let client = Client::start().await;
    let body = json!({ "sub": "63fcedad5ab92b52bfbf5125", "scope": "user:otp:create" });
    let (status, token) = client.post("/_local/token", body).await;
    assert_eq!(status, 200);
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let claims = token.split('.').nth(1).expect("claims");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["sub"], "63fcedad5ab92b52bfbf5125");
    assert_eq!(claims["iss"], format!("{}/_local", client.stack.api));
    let configuration = "/_local/.well-known/openid-configuration";
    let (_, configuration) = client.send(client.request("GET", configuration, false)).await;
    assert_eq!(configuration["issuer"], claims["iss"]);
    let (_, keys) = client.send(client.request("GET", "/_local/jwks.json", false)).await;
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
}

#[tokio::test]
async fn the_openapi_document_has_every_route_of_the_template() {
    let client = Client::start().await;
    let (_, document) = client.send(client.request("GET", "/_local/openapi.json", false)).await;
    let template = passcode::template::read(&passcode_tests::event::root().join("template.yaml"));
    for function in template.expect("template.yaml is good").functions {
        // What answers for every unknown path is no operation.
        for route in function.routes.into_iter().filter(|route| route.method != "ANY") {
            let operation = &document["paths"][&route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{} {}", route.method, route.path);
            for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let parameters = operation["parameters"].as_array().expect("a path's parameters");
                let named = |known: &serde_json::Value| known["name"] == name.trim_end_matches('}');
                assert!(parameters.iter().any(named), "{} {}", route.method, route.path);
            }
            assert!(
                operation["operationId"].as_str().is_some_and(|id| id.starts_with(&function.name))
            );
        }
    }
}
