//! What has happened so far, in numbers (Prometheus text format 0.0.4).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection did not become a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The handshake failed: a certificate was refused, by us or by the peer, or it was no TLS.
    Handshake,
    /// A limit was reached.
    Limit,
    /// The other end could not be reached.
    Unreachable,
}

/// Counters, which never fall.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    opened: AtomicU64,
    refused: [AtomicU64; 3],
    closed_by_us: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    reloads: AtomicU64,
    reload_failures: AtomicU64,
}

/// What is so at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) open: usize,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) not_after: i64,
    pub(crate) revoked: usize,
}

impl Metrics {
    pub(crate) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, why: Refusal) {
        let [handshake, limit, unreachable] = &self.refused;
        let count = match why {
            Refusal::Handshake => handshake,
            Refusal::Limit => limit,
            Refusal::Unreachable => unreachable,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed_by_us(&self) {
        self.closed_by_us.fetch_add(1, Ordering::Relaxed);
    }

    /// A channel has ended, over which so many bytes went.
    pub(crate) fn moved(&self, sent: u64, received: u64) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
    }

    pub(crate) fn reloaded(&self, worked: bool) {
        let count = if worked {
            &self.reloads
        } else {
            &self.reload_failures
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn text(&self, now: Now) -> String {
        let mut text = String::new();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut family = |name: &str, kind: &str, help: &str, values: &[(&str, i128)]| {
            let name = format!("device_channel_{name}");
            // Writing into a string cannot fail.
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
            for (labels, value) in values {
                writeln!(text, "{name}{labels} {value}").ok();
            }
        };
        let whole = |number: u64| i128::from(number);
        let [handshake, limit, unreachable] = &self.refused;
        let open = i128::try_from(now.open).unwrap_or(i128::MAX);
        let revoked = i128::try_from(now.revoked).unwrap_or(i128::MAX);
        family("open", "gauge", "Channels that are open.", &[("", open)]);
        family(
            "opened_total",
            "counter",
            "Channels that were opened.",
            &[("", whole(read(&self.opened)))],
        );
        family(
            "refused_total",
            "counter",
            "Connections that did not become a channel.",
            &[
                ("{reason=\"handshake\"}", whole(read(handshake))),
                ("{reason=\"limit\"}", whole(read(limit))),
                ("{reason=\"unreachable\"}", whole(read(unreachable))),
            ],
        );
        family(
            "closed_by_us_total",
            "counter",
            "Channels that were closed here: revoked, expired, idle.",
            &[("", whole(read(&self.closed_by_us)))],
        );
        let sent = whole(read(&self.sent)).saturating_add(whole(now.sent));
        let received = whole(read(&self.received)).saturating_add(whole(now.received));
        family(
            "bytes_total",
            "counter",
            "Plaintext that moved, to peers and from peers.",
            &[
                ("{direction=\"to_peer\"}", sent),
                ("{direction=\"from_peer\"}", received),
            ],
        );
        family(
            "reloads_total",
            "counter",
            "Changes of files that were taken over, and those that were not usable.",
            &[
                ("{result=\"done\"}", whole(read(&self.reloads))),
                ("{result=\"failed\"}", whole(read(&self.reload_failures))),
            ],
        );
        family(
            "certificate_not_after_seconds",
            "gauge",
            "When our own certificate expires, in seconds since 1970.",
            &[("", i128::from(now.not_after))],
        );
        family(
            "revoked_certificates",
            "gauge",
            "Entries of the revocation lists in force.",
            &[("", revoked)],
        );
        text
    }
}
