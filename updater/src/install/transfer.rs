//! A payload from the network into the slot: no temporary file, one frame in memory, and nothing decoded before it is proven.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Instant;

use firmware_delta::format::MAGIC;
use firmware_delta::{
    Applier, Checkpoint, Expectation, Limits, PatchError, SeekImage, VerifiedOld, verify_old,
};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{Image, Payload, SlotClass};
use metadata_schema::search::VerifiedTarget;
use metadata_schema::trusted::AtTargets;

use super::offer::Offer;
use super::payload::{Choice, PayloadKind, choose};
use crate::error::{Error, TransportError};
use crate::lifecycle::ImageRef;
use crate::policy::rate::Cap;
use crate::progress::Progress;
use crate::pulse::{self, Pulsing};
use crate::refresh::Client;
use crate::slot::{ImageWriter, OpenSlot, Place, WrittenImage};
use crate::state_store::StateStore;
use crate::stop::Stop;
use crate::transport::{Part, Request, beginning, with_jitter};

/// Bytes of new image between two checkpoints.
const CHECKPOINT_EVERY: u64 = 8 * 1024 * 1024;
/// How often a download that broke off is taken up again before the run ends in an error.
const REOPENED: u32 = 5;

/// Brings images into an open slot.
pub struct Transfer<'a, 'c> {
    /// Fetches and verifies.
    pub client: &'a mut Client<'c>,
    /// What is trusted.
    pub set: &'a mut AtTargets,
    /// Keeps checkpoints.
    pub state: &'a StateStore,
    /// Is told how far it is.
    pub progress: &'a mut dyn Progress,
    /// What the owner wants.
    pub rules: &'a mut Rules,
}

/// What a transfer keeps to.
#[derive(Debug, Default)]
pub struct Rules {
    /// Ends it, where it can be gone on with.
    pub stop: Stop,
    /// Most bytes that are downloaded per second.
    pub rate: Option<NonZeroU64>,
    /// How often each delta has failed.
    pub failures: BTreeMap<Sha256Digest, u32>,
    /// How often a delta may fail before the full payload is taken; 0 is once, too.
    pub attempts: u32,
    /// Whether the full payload may be taken in the place of a delta.
    pub full: bool,
}

impl Rules {
    /// Whether a delta has failed so often that the full payload is to be taken.
    fn is_spent(&self, delta: &Payload) -> bool {
        let failures = self.failures.get(&delta.head).copied().unwrap_or(0);
        self.full && failures > 0 && failures >= self.attempts
    }
}

/// What it took to bring an image into the slot.
#[derive(Debug)]
pub struct Transferred {
    /// The image, read back and compared.
    pub image: WrittenImage,
    /// What the payload started from; none if the image stood there already.
    pub kind: Option<PayloadKind>,
    /// Bytes that were downloaded.
    pub downloaded: u64,
}

/// Whether another payload may help: the delta is missing or refused, or what it starts from cannot be read.
fn delta_is_at_fault(error: &Error) -> bool {
    matches!(
        error,
        Error::Payload { .. }
            | Error::Missing { .. }
            | Error::ManifestPath { .. }
            | Error::Running { .. }
            | Error::Transport(TransportError::TooLong { .. } | TransportError::Otherwise { .. })
    )
}

/// One payload on its way.
struct Job<'a> {
    class: &'a SlotClass,
    image: ImageRef,
    target: VerifiedTarget,
    expectation: Expectation,
    running: Option<&'a Place>,
    /// Where it goes.
    into: &'a Place,
}

impl Transfer<'_, '_> {
    /// Brings one image of `offer` into `slot`. `running` is what the other slot holds, and where.
    ///
    /// # Errors
    /// If the payload cannot be fetched or is refused, or the storage fails. The slot stays unbootable.
    pub async fn image(
        &mut self,
        offer: &Offer,
        slot: &OpenSlot<'_>,
        class: &SlotClass,
        image: &Image,
        running: Option<(&Place, &ImageRef)>,
    ) -> Result<Transferred, Error> {
        let wanted = ImageRef {
            length: image.length,
            sha256: image.sha256,
        };
        if self.state.checkpoint()?.is_some()
            && let Some(image) = slot.holds_already(class, &wanted)
        {
            // The run before was cut off after this image was complete.
            return Ok(Transferred {
                image,
                kind: None,
                downloaded: 0,
            });
        }
        // What was begun is gone on with: the run before may have fallen back to the full payload.
        let running = running.filter(|(_, running)| {
            let delta = image.deltas.get(&running.sha256);
            !self.has_begun(&image.full) && !delta.is_some_and(|delta| self.rules.is_spent(delta))
        });
        // A bundle need not hold the delta from what runs here; that is nobody's fault, and no failure of it.
        let delta = running.and_then(|(_, running)| image.deltas.get(&running.sha256));
        let running = match delta {
            Some(delta) if self.is_left_out(offer, delta).await => None,
            _ => running,
        };
        let choice = choose(image, running.map(|(_, image)| image));
        let place = running.map(|(place, _)| place);
        match self
            .payload(offer, slot, class, wanted, &choice, place)
            .await
        {
            Err(e) if choice.kind == PayloadKind::Delta && delta_is_at_fault(&e) => {
                let error = e.in_one_line();
                let failures = self.rules.failures.entry(choice.payload.head).or_default();
                *failures = failures.saturating_add(1);
                if !self.rules.is_spent(choice.payload) {
                    return Err(e);
                }
                tracing::warn!(error, "the delta cannot be used: taking the full payload");
                let full = choose(image, None);
                let result = self.payload(offer, slot, class, wanted, &full, None).await;
                if result.as_ref().is_err_and(delta_is_at_fault) {
                    // The full one is no better: it is what serves them that is at fault, and the delta is worth another try.
                    self.rules.failures.remove(&choice.payload.head);
                }
                result
            }
            result => result,
        }
    }

    /// Whether it is known that a payload is not to be had where files come from.
    async fn is_left_out(&mut self, offer: &Offer, payload: &Payload) -> bool {
        if !self.client.transport.offline() {
            return false;
        }
        match offer.payload(self.client, self.set, payload).await {
            Ok(target) => self.client.transport.lacks(&Request {
                part: Part::Targets,
                path: target.file_path(),
                offset: 0,
                most: target.length().most(),
            }),
            Err(e) => matches!(e, Error::Missing { .. }),
        }
    }

    /// Whether the checkpoint is of this payload.
    fn has_begun(&self, payload: &Payload) -> bool {
        let stored = self.state.checkpoint().ok().flatten();
        let checkpoint = stored.and_then(|bytes| Checkpoint::from_bytes(&bytes).ok());
        checkpoint.is_some_and(|at| at.head() == *payload.head.as_bytes())
    }

    async fn payload(
        &mut self,
        offer: &Offer,
        slot: &OpenSlot<'_>,
        class: &SlotClass,
        image: ImageRef,
        choice: &Choice<'_>,
        running: Option<&Place>,
    ) -> Result<Transferred, Error> {
        let target = offer.payload(self.client, self.set, choice.payload).await?;
        let job = Job {
            class,
            image,
            target,
            expectation: choice.expectation,
            running,
            into: slot.place(class)?,
        };
        let what = format!("{class} {} ({})", offer.manifest.version, choice.kind);
        self.progress.begin(&what, choice.payload.length);
        let result = self.run(&job, slot).await;
        self.progress.end();
        let (image, downloaded) = result?;
        Ok(Transferred {
            image,
            kind: Some(choice.kind),
            downloaded,
        })
    }

    async fn run(
        &mut self,
        job: &Job<'_>,
        slot: &OpenSlot<'_>,
    ) -> Result<(WrittenImage, u64), Error> {
        let (mut applier, mut writer) = match self.resumed(job, slot)? {
            Some(resumed) => resumed,
            None => {
                let applier = job.applier(Applier::new)?;
                (applier, slot.write(job.class, job.image.length, 0)?)
            }
        };
        let begin = applier
            .progress()
            .map_err(|e| job.refused(e))?
            .payload_offset;
        let mut offset = begin;
        let mut reopened = 0;
        while !applier.progress().map_err(|e| job.refused(e))?.complete {
            match self
                .stream(job, &mut applier, &mut writer, &mut offset)
                .await
            {
                Ok(()) => break,
                // Frames that came whole are applied already: the next request asks for what is missing.
                Err(Error::Transport(TransportError::BrokeOff { received, .. }))
                    if reopened < REOPENED =>
                {
                    reopened = reopened.saturating_add(1);
                    let pause = self.client.transport.limits().pause_after(reopened);
                    tracing::info!(
                        received,
                        offset,
                        "the download broke off and is taken up again"
                    );
                    // Stopped meanwhile, `stream` says so.
                    tokio::select! {
                        () = pulse::sleep(with_jitter(pause)) => {}
                        () = self.rules.stop.asked() => {}
                    }
                }
                Err(e) => {
                    if matches!(e, Error::Transport(_) | Error::Stopped) {
                        self.keep(&applier, &mut writer)?;
                    }
                    return Err(e);
                }
            }
        }
        applier.finish().map_err(|e| job.refused(e))?;
        let image = writer.finish(&job.image)?;
        Ok((image, offset.saturating_sub(begin)))
    }

    /// Fetches from `offset` on and applies; `offset` follows the bytes that were handed over.
    async fn stream(
        &mut self,
        job: &Job<'_>,
        applier: &mut Applier<'_>,
        writer: &mut ImageWriter,
        offset: &mut u64,
    ) -> Result<(), Error> {
        let path = job.target.file_path();
        let request = Request {
            part: Part::Targets,
            path,
            offset: *offset,
            most: job.target.length().most(),
        };
        let stop = self.rules.stop.clone();
        let body = tokio::select! {
            biased;
            () = stop.asked() => return Err(Error::Stopped),
            body = self.client.transport.open(&request) => body?,
        };
        let mut body = body.ok_or_else(|| Error::Missing {
            what: request.path.clone(),
        })?;
        let mut kept = applier.progress().map_err(|e| job.refused(e))?.new_offset;
        let mut cap = self.rules.rate.map(Cap::new);
        let begun = Instant::now();
        loop {
            let piece = tokio::select! {
                biased;
                () = stop.asked() => return Err(Error::Stopped),
                piece = body.piece() => piece?,
            };
            let Some(piece) = piece else { break };
            pulse::beat();
            if *offset == 0
                && !piece
                    .iter()
                    .zip(&MAGIC)
                    .all(|(found, magic)| found == magic)
            {
                return Err(Error::Transport(TransportError::Otherwise {
                    url: self.client.transport.describe(&request),
                    expected: "a payload",
                    begins: beginning(&piece),
                }));
            }
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if let Some(cap) = &mut cap {
                let pause = cap.took(length, begun.elapsed());
                tokio::select! {
                    () = pulse::sleep(pause) => {}
                    () = stop.asked() => {}
                }
            }
            let progress = applier.push(&piece, writer).map_err(|e| job.refused(e))?;
            *offset = offset.saturating_add(length);
            self.progress.advance(*offset);
            if progress.new_offset.saturating_sub(kept) >= CHECKPOINT_EVERY {
                kept = progress.new_offset;
                self.keep(applier, writer)?;
            }
        }
        // What is missing is asked for: that says whether the file or only the answer is too short.
        match request.most.saturating_sub(*offset) {
            0 => Ok(()),
            missing => Err(Error::Transport(TransportError::BrokeOff {
                url: self.client.transport.describe(&request),
                received: *offset,
                source: format!("it ended, and {missing} bytes are missing").into(),
            })),
        }
    }

    /// Makes what was written durable, and only then says so.
    fn keep(&self, applier: &Applier<'_>, writer: &mut ImageWriter) -> Result<(), Error> {
        if let Some(checkpoint) = applier.checkpoint() {
            writer.sync()?;
            self.state.save_checkpoint(&checkpoint.to_bytes())?;
        }
        Ok(())
    }

    /// Goes on where an earlier run was cut off, if what it left is good.
    fn resumed<'j>(
        &self,
        job: &'j Job<'_>,
        slot: &OpenSlot<'_>,
    ) -> Result<Option<(Applier<'j>, ImageWriter)>, Error> {
        let Some(bytes) = self.state.checkpoint()? else {
            return Ok(None);
        };
        let Ok(checkpoint) = Checkpoint::from_bytes(&bytes) else {
            return Ok(None);
        };
        if checkpoint.head() != job.expectation.head {
            return Ok(None);
        }
        let mut written = Pulsing(slot.written(job.class)?);
        let resumed = job.applier(|expected, limits, old| {
            Applier::resume(expected, limits, old, &checkpoint, &mut written)
        });
        match resumed {
            Ok(applier) => {
                let writer = slot.write(job.class, job.image.length, checkpoint.new_offset())?;
                tracing::info!(
                    frame = checkpoint.frame(),
                    "going on where the last run was cut off"
                );
                Ok(Some((applier, writer)))
            }
            Err(e) => {
                tracing::warn!(error = %e, "what the last run wrote cannot be used: beginning again");
                Ok(None)
            }
        }
    }
}

impl<'a> Job<'a> {
    fn applier<'j>(
        &'j self,
        make: impl FnOnce(Expectation, Limits, VerifiedOld<'j>) -> Result<Applier<'j>, PatchError>,
    ) -> Result<Applier<'j>, Error> {
        let limits = Limits {
            new_length: self.image.length,
            ..Limits::default()
        };
        let old = match (self.running, &self.expectation.old) {
            (Some(place), Some(id)) => {
                let image = SeekImage::new(Pulsing(place.open()?), id.length);
                verify_old(image, id).map_err(|e| self.refused(e))?
            }
            _ => VerifiedOld::none(),
        };
        make(self.expectation, limits, old).map_err(|e| self.refused(e))
    }

    /// What the payload engine says, as what it is: the fault of the storage, or of the payload.
    fn refused(&self, error: PatchError) -> Error {
        let source = match error {
            PatchError::WriteNew { source, .. } => return self.into.failed("write", source).into(),
            PatchError::ReadOld { source, .. } => {
                let path = self
                    .running
                    .map_or_else(PathBuf::new, |place| place.path().to_owned());
                return Error::Running { path, source };
            }
            other => Box::new(other),
        };
        Error::Payload {
            path: self.target.path().to_string(),
            source,
        }
    }
}
