//! SNS and SES as moto plays them: what the adapters send is read back from its own record.

use crate::{
    couriers::{an_email, an_sms},
    peer::MOTO,
};
use passcode_domain::ports::{EmailCourier as _, SmsCourier as _};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;
use passcode_testkit::TestWorld;
use passcode_tests::aws::aws_at;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn get(url: &str) -> String {
    let answer = reqwest::get(url).await.expect("moto answers");
    answer.text().await.expect("a body")
}

/// The bodies of the requests that moto has recorded for a path.
fn recorded(recording: &str, path: &str) -> Vec<Vec<u8>> {
    let lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let wanted = lines.filter(|line| line["url"].as_str().is_some_and(|url| url.ends_with(path)));
    wanted
        .map(|line| {
            let body = line["body"].as_str().unwrap_or_default();
            match line["body_encoded"].as_bool() {
                Some(true) => data_encoding::BASE64.decode(body.as_bytes()).expect("base64"),
                _ => body.as_bytes().to_vec(),
            }
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs moto's server at MOTO_URL; .ci/run starts it"]
async fn what_is_sent_is_what_moto_records() {
    let _alone = MOTO.lock().await;
    let url = std::env::var("MOTO_URL").expect("MOTO_URL");
    let http = reqwest::Client::new();
    let post = |path: &str| http.post(format!("{url}{path}")).send();
    post("/moto-api/reset").await.expect("moto answers");
    post("/moto-api/recorder/reset-recording").await.expect("moto answers");
    let identity = http
        .post(format!("{url}/v2/email/identities"))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20261120/eu-west-1/ses/aws4_request, SignedHeaders=host, Signature=0")
        .json(&json!({ "EmailIdentity": "example.com" }));
    assert!(identity.send().await.expect("moto answers").status().is_success());

    let aws = aws_at(&url);
    let (sms, email) = (an_sms(), an_email());
    SnsCourier::new(&aws, true).send(&TestWorld::phone(), &sms).await.expect("SNS takes it");
    let courier = SesCourier::new(&aws, "no-reply@example.com".into(), None);
    courier.send(&TestWorld::email(), &email).await.expect("SES takes it");

    let data: Value =
        serde_json::from_str(&get(&format!("{url}/moto-api/data.json")).await).expect("JSON");
    let texts = &data["sns"]["SMS"];
    assert_eq!(texts[0]["phone_number"], "+14155550100", "{texts}");
    assert_eq!(texts[0]["message"], sms.text);
    let mails = &data["ses"]["Message"];
    assert_eq!(mails[0]["destinations"]["ToAddresses"], json!(["ada@example.com"]), "{mails}");
    assert_eq!(mails[0]["subject"], email.subject);

    let recording = get(&format!("{url}/moto-api/recorder/download-recording")).await;
    check_publish(&recorded(&recording, "/"));
    let mail = recorded(&recording, "/v2/email/outbound-emails").pop().expect("a recorded mail");
    let mail: Value = serde_json::from_slice(&mail).expect("JSON");
    assert_eq!(mail["FromEmailAddress"], "Demo <codes@example.com>");
    assert_eq!(mail["ConfigurationSetName"], "passcode");
    assert_eq!(
        mail["EmailTags"],
        json!([{ "Name": "app", "Value": "demo" }, { "Name": "receipt", "Value": "TAG" }])
    );
    let body = &mail["Content"]["Simple"]["Body"];
    assert_eq!(
        (&body["Text"]["Data"], &body["Html"]["Data"]),
        (&json!(email.text), &json!(email.html))
    );
}

fn check_publish(bodies: &[Vec<u8>]) {
    let forms = bodies.iter().map(|body| {
        let url = format!("http://localhost/?{}", String::from_utf8_lossy(body));
        let url = reqwest::Url::parse(&url).expect("a form");
        url.query_pairs().into_owned().collect::<BTreeMap<String, String>>()
    });
    let form = forms.into_iter().find(|form| form.get("Action").is_some_and(|a| a == "Publish"));
    let form = form.expect("a recorded Publish");
    let attributes: BTreeMap<&str, (&str, &str)> = (1..=6)
        .map(|n| {
            let field = |name: &str| form[&format!("MessageAttributes.entry.{n}.{name}")].as_str();
            (field("Name"), (field("Value.DataType"), field("Value.StringValue")))
        })
        .collect();
    let expected = BTreeMap::from([
        ("AWS.SNS.SMS.SMSType", ("String", "Transactional")),
        ("AWS.SNS.SMS.SenderID", ("String", "DEMO")),
        ("AWS.SNS.SMS.MaxPrice", ("Number", "0.50")),
        ("AWS.MM.SMS.OriginationNumber", ("String", "+14155550199")),
        ("AWS.MM.SMS.EntityId", ("String", "1101456324875600000")),
        ("AWS.MM.SMS.TemplateId", ("String", "1107160000000000000")),
    ]);
    assert_eq!(attributes, expected);
}
