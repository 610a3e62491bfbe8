//! Which proxy stands between. Files come through a tunnel (`CONNECT`), so a proxy sees names of servers and nothing else.

use reqwest::{ClientBuilder, NoProxy, Url};

use super::base::without_user;
use crate::error::TransportError;

/// The way to servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment say.
    #[default]
    Environment,
    /// Straight, whatever the environment says.
    None,
    /// Through this proxy, whatever the environment says.
    Through {
        /// Its URL: `http`, and a user's name and password if it asks for them (Basic authentication, RFC 7617).
        url: String,
        /// Where to go straight: names with their subdomains, addresses, networks, with commas between; may be empty.
        except: String,
    },
}

impl Proxy {
    pub(super) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, TransportError> {
        match self {
            Self::Environment => Ok(builder),
            Self::None => Ok(builder.no_proxy()),
            Self::Through { url, except } => {
                let proxy = checked(url)?.no_proxy(NoProxy::from_string(except));
                Ok(builder.no_proxy().proxy(proxy))
            }
        }
    }
}

/// A proxy that can be used. One that cannot is never passed over: that would go straight where nobody wants it.
fn checked(text: &str) -> Result<reqwest::Proxy, TransportError> {
    let refused = |why: String| TransportError::Url {
        what: "URL of the proxy (network.proxy)",
        url: without_user(text),
        why,
    };
    let url = Url::parse(text).map_err(|e| refused(e.to_string()))?;
    if url.scheme() != "http" {
        return Err(refused(format!(
            "its scheme is {:?}, expected \"http\": what goes through the tunnel is encrypted anyway",
            url.scheme()
        )));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("only a host and a port are expected".to_owned()));
    }
    reqwest::Proxy::all(url).map_err(|e| refused(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        for good in [
            "http://proxy:3128",
            "http://u:p%40w@[::1]:3128/",
            "http://10.0.0.1",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        let bad = [
            ("proxy:3128", "expected \"http\""),
            ("https://u:secret@proxy", "expected \"http\""),
            ("socks5://proxy", "expected \"http\""),
            ("http://u:secret@proxy/path", "only a host and a port"),
            ("", "relative URL"),
        ];
        for (text, why) in bad {
            let error = checked(text).map(drop).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("network.proxy"),
                "{text}: {error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
