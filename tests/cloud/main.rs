//! The journeys on a deployed stack, which they find by its outputs:
//!
//! ```sh
//! PASSCODE_STACK=passcode cargo test --package passcode-tests --test cloud -- --ignored --nocapture
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `PASSCODE_STACK` | The stack's name. |
//! | `PASSCODE_TOKEN` | An access token for PACE, with its scopes, from an issuer that the functions reach. |
//! | `AWS_REGION`, `AWS_ACCESS_KEY_ID`, … | As for `passcode --stack`. |

use passcode::{local::LocalClock, place::Place};
use passcode_tests::deployed::{self, Deployed};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a deployed stack: its name in PASSCODE_STACK, and credentials"]
async fn every_journey_passes_on_a_deployed_stack_and_leaves_nothing_behind() {
    let name = std::env::var("PASSCODE_STACK").expect("PASSCODE_STACK is the stack's name");
    let place = Place::named(&name);
    let aws = place.aws().expect("region and credentials");
    let url = place.resource(&aws, "ApiUrl").await.expect("the output ApiUrl");
    let token = std::env::var("PASSCODE_TOKEN").ok().filter(|token| !token.is_empty());
    let is_token = token.as_deref().is_none_or(deployed::is_token);
    assert!(is_token, "PASSCODE_TOKEN is no token with `iss`, `aud` and `sub`");
    let deployed = Deployed { place, url, clock: LocalClock::default(), token };
    let report = deployed::journeys(&deployed).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{report}");
    assert!(report.failed.is_empty(), "failed: {:?}", report.failed);
}
