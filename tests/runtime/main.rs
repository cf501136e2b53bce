//! The built binaries under AWS's own Runtime Interface Emulator, each with every recorded event. The
//! journeys run there as well: see `passcode_tests::emulator`.

use passcode_tests::{
    emulator::Emulated,
    event::{Event, root},
    stack::Client,
};
use serde_json::{Value, json};

async fn status(function: &Emulated, event: &Event) -> u64 {
    let reply: Value = function.reply(&event.0).await;
    reply["statusCode"].as_u64().unwrap_or_else(|| panic!("{reply}"))
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn every_recorded_event_is_answered_and_so_is_a_broken_one() {
    let client = Client::start().await;
    for folder in std::fs::read_dir(root().join("events")).expect("events") {
        let folder = folder.expect("a folder");
        let function = folder.file_name().into_string().expect("a name");
        let emulated = Emulated::new(&function, client.stack.environment(&function), None);
        let is_consumer = function == delivery_receipts::NAME;
        for file in std::fs::read_dir(folder.path()).expect("events") {
            let case = file.expect("a file").path();
            let case = case.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            let event = Event::recorded(&function, case);
            if is_consumer {
                assert_eq!(emulated.reply(&event.0).await, Value::Null, "{case}");
                let refused = emulated.reply(&json!({ "detail": event.0 })).await;
                assert!(refused["errorMessage"].is_string(), "{case}, broken: {refused}");
                continue;
            }
            let answered = status(&emulated, &event).await;
            assert!((200..500).contains(&answered), "{function} {case}: {answered}");
            let mut broken = event;
            broken.0["body"] = json!("***");
            broken.0["isBase64Encoded"] = json!(true);
            broken.0["headers"]["host"] = json!("a b");
            broken.0["headers"]["x-forwarded-proto"] = json!("://");
            let answered = status(&emulated, &broken).await;
            assert!((200..500).contains(&answered), "{function} {case}, broken: {answered}");
        }
    }
}
