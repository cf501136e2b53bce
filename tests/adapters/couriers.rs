//! SNS and SES: what they are told, and what is made of their answers.

use crate::peer::{answering, silent};
use passcode_domain::{
    App, ChallengeId, Code, SubjectKey,
    app::{EmailSender, SmsSender},
    message::{self, Text},
    ports::{CourierError, EmailCourier as _, ProviderMessageId, SmsCourier as _},
};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;
use passcode_testkit::{FakeEmail, FakeSms, TestWorld, Verdict, conformance, demo_app};
use passcode_tests::aws::aws_at;
use passcode_tests::stack::Client;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// A message's ingredients, with everything set that can be.
pub(crate) fn a_text(use_it: impl FnOnce(&Text<'_>)) {
    let world = TestWorld::default();
    let app = App {
        sms: SmsSender {
            sender_id: Some("DEMO".into()),
            origination_number: Some("+14155550199".into()),
            max_price: Some("0.50".into()),
            entity_id: Some("1101456324875600000".into()),
            template_id: Some("1107160000000000000".into()),
        },
        email: EmailSender {
            from: Some("Demo <codes@example.com>".into()),
            configuration_set: Some("passcode".into()),
        },
        ..demo_app()
    };
    let id = ChallengeId::new(SubjectKey::from_bytes([1; 16]), [2; 16]);
    let key = world.keys().code_key(world.keys().current_id()).expect("the current key");
    let code = Code::derive(key, id, &[3; 16], 1, 6);
    let life = Duration::from_mins(10);
    use_it(&Text {
        app: &app,
        template: None,
        scope: None,
        app_hash: None,
        locale: None,
        code: &code,
        life,
        receipt_tag: "TAG",
    });
}

pub(crate) fn an_sms() -> message::Sms {
    let mut made = None;
    a_text(|text| made = Some(message::sms(text)));
    made.expect("made")
}

pub(crate) fn an_email() -> message::Email {
    let mut made = None;
    a_text(|text| made = Some(message::email(text)));
    made.expect("made")
}

/// What both couriers answer: the id of the text message, if SNS gave one, and nothing.
async fn send_both(url: &str) -> [Result<Option<ProviderMessageId>, CourierError>; 2] {
    let aws = aws_at(url);
    let sms = SnsCourier::new(&aws, true);
    let email = SesCourier::new(&aws, "no-reply@example.com".into(), None);
    let (phone, address) = (TestWorld::phone(), TestWorld::email());
    let (sms_message, email_message) = (an_sms(), an_email());
    let (sms, email) =
        tokio::join!(sms.send(&phone, &sms_message), email.send(&address, &email_message));
    [sms, email.map(|()| None)]
}

#[tokio::test]
async fn the_fakes_keep_the_promises() {
    let sms = [FakeSms::default(), FakeSms::default(), FakeSms::default()];
    let email = [FakeEmail::default(), FakeEmail::default(), FakeEmail::default()];
    sms[1].answer([Verdict::Refuse]);
    sms[2].answer([Verdict::Lose]);
    email[1].answer([Verdict::Refuse]);
    email[2].answer([Verdict::Lose]);
    conformance::sms_courier(sms.each_ref(), &an_sms()).await;
    conformance::email_courier(email.each_ref(), &an_email()).await;
}

#[tokio::test]
async fn sns_and_ses_keep_the_promises() {
    let client = Client::start().await;
    let (refusing, _) = answering(400, "").await;
    let (losing, _) = answering(500, "").await;
    let places = [client.stack.sink.as_str(), &refusing, &losing];
    let sms = places.map(|url| SnsCourier::new(&aws_at(url), true));
    let email =
        places.map(|url| SesCourier::new(&aws_at(url), "no-reply@example.com".into(), None));
    conformance::sms_courier(sms.each_ref(), &an_sms()).await;
    conformance::email_courier(email.each_ref(), &an_email()).await;
}

#[tokio::test]
async fn a_refusal_is_known_to_have_sent_nothing() {
    for status in [400, 403, 404, 429] {
        let (url, asked) = answering(status, "").await;
        for result in send_both(&url).await {
            assert!(matches!(result, Err(CourierError::Refused(_))), "{status}: {result:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{status}: one try each");
    }
}

#[tokio::test]
async fn an_error_inside_the_service_leaves_it_open_and_is_not_tried_again() {
    for status in [408, 500, 502, 503] {
        let (url, asked) = answering(status, "").await;
        for result in send_both(&url).await {
            assert!(matches!(result, Err(CourierError::Unknown(_))), "{status}: {result:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{status}: one try each");
    }
}

#[tokio::test]
async fn a_service_that_never_answers_is_asked_once_and_for_a_bounded_time() {
    let (url, asked) = silent().await;
    let began = Instant::now();
    for result in send_both(&url).await {
        assert!(matches!(result, Err(CourierError::Unknown(_))), "{result:?}");
    }
    let limit = passcode_aws::SEND_TIMEOUT + Duration::from_secs(1);
    assert!(began.elapsed() < limit, "{:?}", began.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one try each");
}

// SES and SNS name the address they refuse.
const ECHO: &str = r#"{"__type":"MessageRejected","message":"ada@example.com +14155550100"}"#;
const XML: &str = "<ErrorResponse><Error><Code>InvalidParameter</Code>\
    <Message>+14155550100 ada@example.com</Message></Error></ErrorResponse>";

#[tokio::test]
async fn a_cause_repeats_neither_code_nor_address() {
    let (sms, email) = (an_sms(), an_email());
    let code = sms.text.rsplit('#').next().expect("a code").to_owned();
    for (status, body) in [(400, ECHO), (400, XML), (500, ECHO)] {
        let (url, _) = answering(status, body).await;
        for result in send_both(&url).await {
            let mut record = passcode_http::Record::default();
            match result {
                Err(CourierError::Refused(cause) | CourierError::Unknown(cause)) => {
                    record.error(&*cause);
                }
                Ok(_) => panic!("{status} was taken for a success"),
            }
            let error = record.error.expect("an error");
            for secret in [code.as_str(), "+14155550100", "ada@example.com", &sms.text, &email.text]
            {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn the_sink_gets_what_was_sent() {
    let client = Client::start().await;
    for result in send_both(&client.stack.sink).await {
        result.expect("the sink takes everything");
    }
    let sms = client.messages("+14155550100").await.remove(0);
    assert_eq!((sms.channel.as_str(), sms.from.as_str()), ("sms", "DEMO"));
    assert_eq!(sms.text, an_sms().text);
    let email = client.messages("ada@example.com").await.remove(0);
    assert_eq!(
        (email.channel.as_str(), email.from.as_str()),
        ("email", "Demo <codes@example.com>")
    );
    let sent = an_email();
    assert_eq!((email.subject, email.text, email.html), (sent.subject, sent.text, sent.html));
}
