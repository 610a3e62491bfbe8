//! `[network]`: what fetching may take, and the way to the server. Every member may be left out.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::Deserialize;

use crate::transport::NetworkLimits;
use crate::transport::http::{Proxy, Settings};

/// Means that no proxy is used, whatever the environment says.
const NO_PROXY: &str = "none";

/// What is configured of the network; what is not is [`NetworkLimits::DEFAULT`]. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// URL of a proxy, or `none`; without it, the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) says.
    pub proxy: Option<String>,
    /// Hosts and networks that are reached without that proxy.
    #[serde(default)]
    pub no_proxy: Vec<String>,
    /// [`NetworkLimits::connect`].
    pub connect: Option<NonZeroU64>,
    /// [`NetworkLimits::silence`].
    pub silence: Option<NonZeroU64>,
    /// [`NetworkLimits::minimum_rate`], bytes per second.
    pub minimum_rate: Option<NonZeroU64>,
    /// [`NetworkLimits::window`].
    pub window: Option<NonZeroU64>,
    /// [`NetworkLimits::total`].
    pub total: Option<NonZeroU64>,
    /// [`NetworkLimits::attempts`].
    pub attempts: Option<NonZeroU32>,
    /// [`NetworkLimits::retry_after`].
    pub retry_after: Option<u64>,
    /// [`NetworkLimits::redirects`].
    pub redirects: Option<u8>,
    /// Most bytes of a payload that are downloaded per second; as many as come, without.
    pub rate: Option<NonZeroU64>,
}

impl NetworkConfig {
    /// What follows for fetching.
    pub fn settings(&self) -> Settings {
        let usual = NetworkLimits::DEFAULT;
        let seconds = |configured: Option<NonZeroU64>, usual: Duration| {
            configured.map_or(usual, |seconds| Duration::from_secs(seconds.get()))
        };
        let limits = NetworkLimits {
            connect: seconds(self.connect, usual.connect),
            silence: seconds(self.silence, usual.silence),
            minimum_rate: self
                .minimum_rate
                .map_or(usual.minimum_rate, NonZeroU64::get),
            window: seconds(self.window, usual.window),
            total: seconds(self.total, usual.total),
            attempts: self.attempts.map_or(usual.attempts, NonZeroU32::get),
            pause: usual.pause,
            retry_after: self
                .retry_after
                .map_or(usual.retry_after, Duration::from_secs),
            redirects: self.redirects.map_or(usual.redirects, usize::from),
        };
        let proxy = match self.proxy.as_deref() {
            None => Proxy::Environment,
            Some(NO_PROXY) => Proxy::None,
            Some(url) => Proxy::Through {
                url: url.to_owned(),
                except: self.no_proxy.join(","),
            },
        };
        Settings { limits, proxy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NetworkConfig, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        let settings = read("").unwrap().settings();
        assert_eq!(settings.limits, NetworkLimits::DEFAULT);
        assert_eq!(settings.proxy, Proxy::Environment);
        let settings = read("proxy = 'none'\nminimum_rate = 64\nretry_after = 0")
            .unwrap()
            .settings();
        assert_eq!(settings.proxy, Proxy::None);
        let expected = NetworkLimits {
            minimum_rate: 64,
            retry_after: Duration::ZERO,
            ..NetworkLimits::DEFAULT
        };
        assert_eq!(settings.limits, expected);
    }

    #[test]
    fn a_limit_cannot_be_switched_off() {
        for member in [
            "connect",
            "silence",
            "minimum_rate",
            "window",
            "total",
            "attempts",
        ] {
            let error = read(&format!("{member} = 0")).unwrap_err();
            assert!(error.contains("nonzero"), "{error}");
        }
        assert!(
            read("minimum_speed = 1")
                .unwrap_err()
                .contains("unknown field")
        );
    }
}
