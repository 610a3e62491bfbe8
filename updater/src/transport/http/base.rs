//! Base URLs, and the exact URL of a file below them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::super::Part;
use crate::error::TransportError;

/// Everything but the unreserved characters of RFC 3986, section 2.3, is percent-encoded in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A URL that files stand below. It ends with a slash.
#[derive(Clone, Debug)]
pub(super) struct Base(String);

impl Base {
    /// Checks a base URL; a slash at its end may be missing.
    ///
    /// # Errors
    /// If it is not a URL, has another scheme than `https` (or `http`, if `clear`), or has what cannot stand in a base:
    /// a query, a fragment, or a user's name.
    pub(super) fn new(part: Part, text: &str, clear: bool) -> Result<Self, TransportError> {
        let refused = |why: String| TransportError::Url {
            what: match part {
                Part::Metadata => "base URL of the metadata (server.metadata)",
                Part::Targets => "base URL of the targets (server.targets)",
            },
            url: without_user(text),
            why,
        };
        let url = Url::parse(text).map_err(|e| refused(e.to_string()))?;
        let scheme = url.scheme();
        if scheme != "https" && !(clear && scheme == "http") {
            return Err(refused(format!(
                "its scheme is {scheme:?}, expected \"https\""
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "it has a user's name, and devices are known by their certificates".to_owned(),
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused(
                "it has a query (?) or a fragment (#), so no file's name can be added to it"
                    .to_owned(),
            ));
        }
        let text = url.as_str().trim_end_matches('/');
        Ok(Self(format!("{text}/")))
    }

    /// The URL of a metadata file: one segment, whatever the name of its role.
    pub(super) fn metadata(&self, file: &str) -> String {
        let Self(base) = self;
        format!("{base}{}", utf8_percent_encode(file, SEGMENT))
    }

    /// The URL of a target: each segment of its path encoded, and nothing between them.
    pub(super) fn target(&self, path: &str) -> String {
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
            .collect();
        format!("{}{}", self.0, segments.join("/"))
    }
}

/// A URL for messages: whoever reads them is not to learn a password.
pub(super) fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host == authority {
        text.to_owned()
    } else if scheme.is_empty() {
        format!("{host}{path}")
    } else {
        format!("{scheme}://{host}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<Base, String> {
        Base::new(Part::Targets, text, false).map_err(|e| e.to_string())
    }

    #[test]
    fn base_urls() {
        let good = [
            ("https://h/repository", "https://h/repository/f"),
            ("https://h/repository/", "https://h/repository/f"),
            ("https://h/repository//", "https://h/repository/f"),
            ("https://h:8443", "https://h:8443/f"),
            (
                "https://[2001:db8::1]:8443/r",
                "https://[2001:db8::1]:8443/r/f",
            ),
            ("https://H.Example/a b", "https://h.example/a%20b/f"),
        ];
        for (text, file) in good {
            assert_eq!(
                base(text).map(|base| base.target("f")),
                Ok(file.to_owned()),
                "{text}"
            );
        }
        let bad = [
            (
                "http://h/repository",
                "its scheme is \"http\", expected \"https\"",
            ),
            ("ftp://h/", "its scheme is \"ftp\""),
            ("h/repository", "relative URL without a base"),
            ("", "relative URL without a base"),
            ("https://", "empty host"),
            ("https://h/r?token=1", "it has a query"),
            ("https://h/r#part", "a fragment"),
            ("https://user:secret@h/r", "it has a user's name"),
        ];
        for (text, why) in bad {
            let error = base(text).map(|base| base.0).unwrap_err();
            assert!(
                error.contains(why) && error.contains("server.targets"),
                "{text}: {error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn names_are_encoded_exactly() {
        let base = base("https://h/r").unwrap();
        let targets = [
            (
                "router-x/stable.release.json",
                "router-x/stable.release.json",
            ),
            ("a b/c#d?e%f", "a%20b/c%23d%3Fe%25f"),
            ("é/+&=;,", "%C3%A9/%2B%26%3D%3B%2C"),
            ("..a/b..", "..a/b.."),
            ("%2e%2e/x", "%252e%252e/x"),
            ("~-_.", "~-_."),
        ];
        for (path, encoded) in targets {
            let url = base.target(path);
            assert_eq!(url, format!("https://h/r/{encoded}"));
            // What is sent is what was written: the URL parser changes nothing.
            assert_eq!(Url::parse(&url).unwrap().as_str(), url);
        }
        let metadata = [
            ("1.a/b.json", "1.a%2Fb.json"),
            ("1.../../root.json", "1...%2F..%2Froot.json"),
            ("...json", "...json"),
            ("1.e\u{301}.json", "1.e%CC%81.json"),
        ];
        for (file, encoded) in metadata {
            let url = base.metadata(file);
            assert_eq!(url, format!("https://h/r/{encoded}"));
            assert_eq!(Url::parse(&url).unwrap().as_str(), url);
        }
    }

    #[test]
    fn passwords_are_not_told() {
        let cases = [
            ("http://u:p@proxy:3128/", "http://proxy:3128/"),
            ("u:p@proxy", "proxy"),
            ("https://h/a@b", "https://h/a@b"),
        ];
        for (text, told) in cases {
            assert_eq!(without_user(text), told);
        }
    }
}
