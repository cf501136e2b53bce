//! Whose request it is, where no client id says so: the app is the host's first label, or else the
//! one that the deployment names for hosts without a label of their own.

use crate::{Request, header_text};
use passcode_domain::{
    App, AppId, World,
    ports::{LoadApps, StoreError},
};
use std::{net::IpAddr, sync::Arc};

/// The app of a request; `None` where there is none.
pub async fn app_of<W>(world: &W, request: &Request) -> Result<Option<Arc<App>>, StoreError>
where
    W: World<Apps: LoadApps>,
{
    let apps = world.apps();
    if let Some(label) = request.uri().host().and_then(label)
        && let Some(app) = apps.load_app(&label).await?
    {
        return Ok(Some(app));
    }
    match apps.default_app() {
        Some(default) => apps.load_app(default).await,
        None => Ok(None),
    }
}

/// The first label of a host that can name an app: not an address, and not a name of AWS's own, in
/// which the first label is the API.
fn label(host: &str) -> Option<AppId> {
    let is_address = host.parse::<IpAddr>().is_ok() || host.starts_with('[');
    let (first, rest) = host.split_once('.')?;
    let is_aws = rest.ends_with("amazonaws.com") || rest.ends_with("amazonaws.com.cn");
    if is_address || is_aws { None } else { first.parse().ok() }
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1).
#[must_use]
pub fn bearer_token(request: &Request) -> Option<&str> {
    let (scheme, token) = header_text(request, "authorization")?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_of_the_companys_own_names_an_app() {
        for host in [
            "",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "abc123.execute-api.eu-west-1.amazonaws.com",
            "abc123.execute-api.cn-north-1.amazonaws.com.cn",
            "a b.example.com",
        ] {
            assert_eq!(label(host), None, "{host}");
        }
        assert_eq!(label("shop.session.example.com"), "shop".parse().ok());
    }
}
