//! `[identity]`: certificates that somebody put there, or ones that the device gets for itself.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Who the device is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Members")]
#[non_exhaustive]
pub enum IdentityConfig {
    /// Files that somebody else looks after.
    Files(CertificateFiles),
    /// The device enrols and renews by itself.
    Enrolled(EnrolmentConfig),
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate and the intermediates, PEM, the leaf first.
    pub certificate: PathBuf,
    /// The private key, PKCS#8 PEM.
    pub key: PathBuf,
}

/// How the device enrols (EST, RFC 7030).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentConfig {
    /// Base URL of where devices without a certificate enrol.
    pub est: String,
    /// Base URL of where devices with a certificate renew it; without it, the host of `server.metadata`.
    pub renew: Option<String>,
    /// The identity from the factory.
    pub idevid: Option<CertificateFiles>,
    /// File with a one-time token, `SERIAL:TOKEN`, for a device without an identity from the factory.
    pub token: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    est: Option<String>,
    renew: Option<String>,
    idevid: Option<CertificateFiles>,
    token: Option<PathBuf>,
}

impl TryFrom<Members> for IdentityConfig {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        match members {
            Members {
                certificate: Some(certificate),
                key: Some(key),
                est: None,
                renew: None,
                idevid: None,
                token: None,
            } => Ok(Self::Files(CertificateFiles { certificate, key })),
            Members {
                certificate: None,
                key: None,
                est: Some(est),
                renew,
                idevid,
                token,
            } if idevid.is_some() || token.is_some() => Ok(Self::Enrolled(EnrolmentConfig {
                est,
                renew,
                idevid,
                token,
            })),
            _ => Err(
                "[identity] has either `certificate` and `key`, or `est` with `idevid` or `token`",
            ),
        }
    }
}

impl IdentityConfig {
    /// Takes relative paths from `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let (files, token) = match self {
            Self::Files(files) => (Some(files), None),
            Self::Enrolled(enrolment) => (enrolment.idevid.as_mut(), enrolment.token.as_mut()),
        };
        let files = files
            .into_iter()
            .flat_map(|f| [&mut f.certificate, &mut f.key]);
        for path in files.chain(token) {
            *path = folder.join(&*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_files_or_enrolment() {
        let read = |text: &str| toml::from_str::<IdentityConfig>(text);
        assert!(matches!(
            read("certificate = 'a'\nkey = 'b'").unwrap(),
            IdentityConfig::Files(_)
        ));
        let text = "est = 'https://a'\nidevid = { certificate = 'a', key = 'b' }";
        let mut enrolled = read(text).unwrap();
        enrolled.resolve(Path::new("/x"));
        let IdentityConfig::Enrolled(config) = &enrolled else {
            panic!("{enrolled:?}");
        };
        assert_eq!(config.idevid.as_ref().unwrap().key, Path::new("/x/b"));
        assert!(read("est = 'https://a'\ntoken = 't'").is_ok());
        for bad in [
            "",
            "certificate = 'a'",
            "est = 'https://a'",
            "certificate = 'a'\nkey = 'b'\nest = 'x'",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("either"), "{bad}: {error}");
        }
        assert!(
            read("est = 'x'\ntokens = 't'")
                .unwrap_err()
                .to_string()
                .contains("unknown field")
        );
    }
}
