//! `[policy]`: what the owner of the device wants. Every member may be left out.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use crate::policy::window::{Window, Zone};
use crate::policy::{Automatic, Metered, Pin};

/// Longest that an update can be put off, unless configured, in seconds: a week.
const WEEK: u64 = 7 * 24 * 3600;

/// What the owner wants: see [`crate::policy::hold`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Which releases are installed without asking.
    pub automatic: Automatic,
    /// When installations may begin; always, without any.
    pub windows: Vec<Window>,
    /// What the times of the windows mean.
    pub time_zone: Zone,
    /// The version at which the device is held.
    pub pin: Option<Pin>,
    /// Folder of files that forbid installations as long as they are there.
    pub inhibit: PathBuf,
    /// What may be done by a metered link.
    pub metered: Metered,
    /// The link is metered as long as this file is there.
    pub metered_file: Option<PathBuf>,
    /// The link is metered if this command exits with 0.
    pub metered_command: Option<Vec<String>>,
    /// How often a delta may fail before the full image is taken in its place.
    pub delta_attempts: NonZeroU32,
    /// Whether the full image is taken at all where a delta was meant to do.
    pub full_after_delta: bool,
    /// Longest that an update can be put off, in seconds.
    pub longest_postponement: u64,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            automatic: Automatic::All,
            windows: Vec::new(),
            time_zone: Zone::Ahead(0),
            pin: None,
            inhibit: PathBuf::from("/run/updater/inhibit.d"),
            metered: Metered::Full,
            metered_file: None,
            metered_command: None,
            delta_attempts: NonZeroU32::MIN,
            full_after_delta: true,
            longest_postponement: WEEK,
        }
    }
}
