//! An answer's body: no longer than it may be, no slower than it must be.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::Instant;

use super::super::pace::{Pace, Slow};
use super::super::{Answer, Body, NetworkLimits, too_long};
use super::failure::{by_tls, reason};
use crate::error::TransportError;
use crate::pulse;

/// Which part of a file an answer holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Bytes at its beginning that are not wanted: of a server that ignores ranges.
    pub(super) skip: u64,
    /// Bytes that it may have, with those.
    pub(super) most: u64,
}

pub(super) struct HttpBody {
    url: String,
    answer: Response,
    received: u64,
    share: Share,
    pace: Pace,
    limits: NetworkLimits,
}

impl HttpBody {
    /// # Errors
    /// If the answer says that it is longer than it may be.
    pub(super) fn new(
        url: String,
        answer: Response,
        share: Share,
        limits: &NetworkLimits,
    ) -> Result<Self, TransportError> {
        let announced = answer.content_length();
        if announced.is_some_and(|length| length > share.most) {
            return Err(too_long(url, share.most, announced));
        }
        Ok(Self {
            url,
            answer,
            received: 0,
            share,
            pace: Pace::new(limits, share.most),
            limits: limits.clone(),
        })
    }

    /// What comes next, however long that takes within the pace.
    async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let begin = Instant::now();
            let came = pulse::within(self.pace.patience(), self.answer.chunk()).await;
            let waited = begin.elapsed();
            match came {
                Ok(Ok(None)) => {
                    super::let_go().await;
                    return Ok(None);
                }
                Ok(Ok(Some(piece))) => {
                    let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    self.received = self.received.saturating_add(length);
                    if self.received > self.share.most {
                        return Err(too_long(self.url.clone(), self.share.most, None));
                    }
                    self.judge(waited, length)?;
                    return Ok(Some(piece));
                }
                Ok(Err(e)) => {
                    let about = by_tls(&self.url, &e);
                    return Err(about.unwrap_or_else(|| self.broke_off(reason(&e).into())));
                }
                Err(_) => self.judge(waited, 0)?,
            }
        }
    }

    fn judge(&mut self, waited: Duration, bytes: u64) -> Result<(), TransportError> {
        self.pace.waited(waited, bytes).map_err(|slow| match slow {
            Slow::Silence => {
                let silence = self.limits.silence.as_secs_f32();
                self.broke_off(format!("nothing came for {silence} s").into())
            }
            Slow::Rate(received) => TransportError::TooSlow {
                url: self.url.clone(),
                received,
                least: self.limits.least(),
                seconds: self.limits.window.as_secs_f32(),
            },
            Slow::Total => TransportError::TooLate {
                url: self.url.clone(),
                seconds: self.limits.total_for(self.share.most).as_secs(),
            },
        })
    }

    fn broke_off(&self, source: Box<dyn std::error::Error + Send + Sync>) -> TransportError {
        TransportError::BrokeOff {
            url: self.url.clone(),
            received: self.received,
            source,
        }
    }
}

impl Body for HttpBody {
    fn piece(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            while let Some(mut piece) = self.next().await? {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                let skipped = self.share.skip.min(length);
                self.share.skip = self.share.skip.saturating_sub(skipped);
                let _passed_over = piece.split_to(usize::try_from(skipped).unwrap_or(0));
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
            Ok(None)
        })
    }
}
