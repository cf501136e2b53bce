//! Tables and secrets of a deployed stack, found by its outputs.

use crate::peer::{MOTO, answering};
use clap::Parser as _;
use passcode::place::Place;
use passcode_tests::aws::aws_at;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    place: Place,
}

fn place(line: &str) -> Place {
    Line::try_parse_from(line.split_whitespace()).expect("arguments").place
}

const ANSWER: &str = r#"
<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStacksResult>
    <Stacks>
      <member>
        <StackName>passcode</StackName>
        <CreationTime>2026-11-20T09:00:00Z</CreationTime>
        <StackStatus>UPDATE_COMPLETE</StackStatus>
        <Outputs>
          <member>
            <OutputKey>AppTable</OutputKey>
            <OutputValue>passcode-AppTable-1A2B3C4D</OutputValue>
            <Description>The table of apps.</Description>
          </member>
          <member>
            <OutputKey>KeyringSecret</OutputKey>
            <OutputValue>arn:aws:secretsmanager:eu-west-1:123456789012:secret:Keyring-x1</OutputValue>
          </member>
        </Outputs>
      </member>
    </Stacks>
  </DescribeStacksResult>
</DescribeStacksResponse>"#;

#[tokio::test]
async fn a_deployed_stack_is_asked_once_what_its_resources_are_named() {
    let (url, asked) = answering(200, ANSWER).await;
    let (place, aws) = (place("passcode --stack passcode"), aws_at(&url));
    let named = place.resource(&aws, "AppTable").await.expect("an output");
    assert_eq!(named, "passcode-AppTable-1A2B3C4D");
    let named = place.resource(&aws, "KeyringSecret").await.expect("an output");
    assert!(named.starts_with("arn:aws:secretsmanager:"), "{named}");
    let error = place.resource(&aws, "UserTable").await.expect_err("no output").to_string();
    assert!(error.contains("`passcode` has no output UserTable"), "{error}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_told() {
    const NONE: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
        <Message>Stack with id shop does not exist</Message></Error></ErrorResponse>";
    let (url, _) = answering(400, NONE).await;
    let error = place("passcode --stack shop").resource(&aws_at(&url), "AppTable").await;
    let error = error.expect_err("no stack").to_string();
    assert!(error.contains("is `shop` deployed in this region?"), "{error}");
}

#[tokio::test]
async fn the_local_stack_names_its_resources_by_their_logical_ids() {
    let (url, asked) = answering(500, "").await;
    let named = place("passcode").resource(&aws_at(&url), "AppTable").await.expect("a name");
    assert_eq!((&*named, asked.load(std::sync::atomic::Ordering::SeqCst)), ("AppTable", 0));
}

#[tokio::test]
#[ignore = "needs moto's server at MOTO_URL; .ci/run starts it"]
async fn moto_answers_with_the_outputs_of_a_stack() {
    const TEMPLATE: &str = "{\"Resources\":{\"AppTable\":{\"Type\":\"AWS::DynamoDB::Table\",\"Properties\":\
        {\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":\"app\",\"AttributeType\":\"S\"}],\
        \"KeySchema\":[{\"AttributeName\":\"app\",\"KeyType\":\"HASH\"}]}}},\
        \"Outputs\":{\"AppTable\":{\"Value\":{\"Ref\":\"AppTable\"}}}}";
    let _alone = MOTO.lock().await;
    let url = std::env::var("MOTO_URL").expect("MOTO_URL");
    let aws = aws_at(&url);
    let client = aws_sdk_cloudformation::Client::new(&aws);
    let made = client.create_stack().stack_name("outputs").template_body(TEMPLATE).send().await;
    made.expect("the stack is made");
    let named = place("passcode --stack outputs").resource(&aws, "AppTable").await;
    assert!(named.expect("an output").starts_with("outputs-AppTable-"));
}
