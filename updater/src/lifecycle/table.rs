//! Every transition of an installation, in one table. [`State::step`](super::State::step) looks here, and the table in
//! `docs/LIFECYCLE.md` is made from this one; a test compares.

use std::fmt;

/// Where an installation stands, without what belongs to it: see [`super::Stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Idle,
    Installing,
    Staged,
    Armed,
    Trial,
    Committing,
    RollingBack,
}

/// What happened, as far as it decides where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Begin,
    Return,
    Abandoned,
    Staged,
    Armed,
    Healthy,
    Committed,
    Unhealthy,
    /// A start of the committed slot.
    Old,
    /// No start since the new slot was armed.
    Same,
    /// A start of the other slot.
    New,
}

/// Where that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Stay,
    /// To a stage of the same installation; to idle, if it is given up.
    Go(At),
    /// To idle: the new firmware is the committed one.
    Kept,
    /// To idle: the new firmware is remembered as failed.
    Failed,
    /// To staged: what was committed is the new firmware, and what runs is the committed one.
    Astray,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Nothing,
    Arm,
    AwaitRestart,
    Judge,
    Keep,
    Commit,
    Discard,
    RollBack,
}

/// One transition.
pub(super) struct Row {
    pub(super) at: &'static [At],
    pub(super) on: On,
    pub(super) to: To,
    pub(super) then: Do,
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "the documentation is made of it")
    )]
    pub(super) meaning: &'static str,
}

const fn row(at: &'static [At], on: On, to: To, then: Do, meaning: &'static str) -> Row {
    Row {
        at,
        on,
        to,
        then,
        meaning,
    }
}

/// The transitions. What is not here cannot happen, and is refused.
pub(super) const TABLE: [Row; 17] = {
    use At::{Armed, Committing, Idle, Installing, RollingBack, Staged, Trial};
    use To::{Astray, Failed, Go, Kept, Stay};
    [
        row(
            &[Idle, Installing],
            On::Begin,
            Go(Installing),
            Do::Nothing,
            "a release was chosen; the inactive slot is made unbootable before its first byte is written",
        ),
        row(
            &[Idle],
            On::Return,
            Go(Staged),
            Do::Arm,
            "a person wants the firmware before back, and it stands in its slot unharmed",
        ),
        row(
            &[Installing],
            On::Staged,
            Go(Staged),
            Do::Arm,
            "all images were read back and compared",
        ),
        row(
            &[Installing, Staged, Armed],
            On::Abandoned,
            Go(Idle),
            Do::Discard,
            "given up, by a person or because the slot cannot be used; nothing has failed",
        ),
        row(
            &[Staged],
            On::Armed,
            Go(Armed),
            Do::AwaitRestart,
            "the boot loader tries the slot next",
        ),
        row(
            &[Idle, Installing],
            On::Old,
            Stay,
            Do::Keep,
            "nothing was armed; an installation goes on, or begins again",
        ),
        row(
            &[Idle, Installing],
            On::New,
            Astray,
            Do::Arm,
            "the boot loader went astray, or somebody switched it: the committed firmware is tried again like any other",
        ),
        row(
            &[Staged],
            On::Old,
            Stay,
            Do::Arm,
            "the power failed before arming: the slot is compared and armed again",
        ),
        row(
            &[Staged, Armed, Trial],
            On::New,
            Go(Trial),
            Do::Judge,
            "the new firmware runs, on trial",
        ),
        row(
            &[Armed],
            On::Same,
            Stay,
            Do::AwaitRestart,
            "nobody has restarted the device",
        ),
        row(
            &[Armed, Trial, Committing],
            On::Old,
            Failed,
            Do::Discard,
            "the new firmware did not start, and the boot loader went back",
        ),
        row(
            &[Trial],
            On::Healthy,
            Go(Committing),
            Do::Commit,
            "all required health checks say yes; the boot loader is told before the state says so",
        ),
        row(
            &[Trial],
            On::Unhealthy,
            Go(RollingBack),
            Do::RollBack,
            "a required health check says no, or a person does",
        ),
        row(
            &[Committing],
            On::Committed,
            Kept,
            Do::Nothing,
            "the boot loader starts the new firmware from now on; the security floor rises",
        ),
        row(
            &[Committing],
            On::New,
            Stay,
            Do::Commit,
            "the power failed before the boot loader knew",
        ),
        row(
            &[RollingBack],
            On::New,
            Stay,
            Do::RollBack,
            "the power failed before the slot was unbootable; nothing is judged twice",
        ),
        row(
            &[RollingBack],
            On::Old,
            Failed,
            Do::Discard,
            "the old firmware runs again; the new one is remembered as failed",
        ),
    ]
};

/// The transition that follows from something that happened at a stage.
pub(super) fn row_of(at: At, on: On) -> Option<&'static Row> {
    TABLE
        .iter()
        .find(|row| row.on == on && row.at.contains(&at))
}

impl At {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Installing => "installing",
            Self::Staged => "staged",
            Self::Armed => "armed",
            Self::Trial => "trial",
            Self::Committing => "committing",
            Self::RollingBack => "rolling back",
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "the beginning of an installation",
            Self::Return => "the wish to go back",
            Self::Abandoned => "giving up",
            Self::Staged => "staging",
            Self::Armed => "arming",
            Self::Healthy => "a good health check",
            Self::Committed => "committing",
            Self::Unhealthy => "a failed health check",
            Self::Old => "a start of the old slot",
            Self::Same => "no start since arming",
            Self::New => "a start of the new slot",
        })
    }
}
