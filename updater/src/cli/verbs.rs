//! The commands that there are, in the order in which help shows them.

use super::arguments::{Flag, Operand};

/// A command.
pub(super) struct Verb {
    /// What it is.
    pub(super) what: What,
    /// Its name.
    pub(super) name: &'static str,
    /// What it does, in one line.
    pub(super) about: &'static str,
    /// What else there is to know.
    pub(super) more: &'static str,
    /// What it is told without an option.
    pub(super) operand: Option<Operand>,
    /// Its options.
    pub(super) flags: &'static [Flag],
}

/// Which command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Status,
    Why,
    History,
    Doctor,
    Check,
    Once,
    Run,
    Install,
    Commit,
    Rollback,
    Cancel,
    Postpone,
    Consent,
    Enrol,
    Bootstrap,
    Simulate,
}

/// Commands under one heading.
pub(super) struct Group {
    pub(super) heading: &'static str,
    pub(super) verbs: &'static [Verb],
}

const fn verb(what: What, name: &'static str, about: &'static str) -> Verb {
    Verb {
        what,
        name,
        about,
        more: "",
        operand: None,
        flags: &[],
    }
}

const fn flag(name: &'static str, about: &'static str) -> Flag {
    Flag {
        name,
        value: None,
        about,
    }
}

/// All commands.
pub(super) const GROUPS: &[Group] = &[
    Group {
        heading: "What goes on",
        verbs: &[
            verb(
                What::Status,
                "status",
                "Say what runs, what is going on, what failed and what time it is taken to be",
            ),
            Verb {
                more: "It speaks of what the last run saw, and of the policy as it is now; `updater check` looks anew.",
                ..verb(
                    What::Why,
                    "why",
                    "Say of each release in sight whether it is taken, and the exact reason why or why not",
                )
            },
            Verb {
                flags: &[Flag {
                    name: "last",
                    value: Some("N"),
                    about: "Only so many of the newest entries; 20 without",
                }],
                ..verb(
                    What::History,
                    "history",
                    "Say what has happened to this device",
                )
            },
            Verb {
                more: "Exit code 1 if something is wrong, 8 if the configuration cannot be used.",
                ..verb(
                    What::Doctor,
                    "doctor",
                    "Look whether everything is in order that an update needs, and say how to mend what is not",
                )
            },
            verb(
                What::Check,
                "check",
                "Say what is offered, and whether and why it is taken; install nothing",
            ),
        ],
    },
    Group {
        heading: "Updating",
        verbs: &[
            Verb {
                more: "SIGTERM stops where it can be gone on with, SIGHUP reads the configuration again.",
                ..verb(
                    What::Run,
                    "run",
                    "Poll again and again, and listen to the other commands, until stopped",
                )
            },
            verb(
                What::Once,
                "once",
                "Settle what the last start means, then install an update if there is one and policies let it: what a timer calls",
            ),
            Verb {
                operand: Some(Operand {
                    name: "FILE",
                    needed: false,
                    about: "A bundle that `repo-tool bundle` made, in the place of the server: no network is needed, and the same \
                            is checked",
                }),
                flags: &[flag(
                    "retry",
                    "Also a release that has failed or was refused here before",
                )],
                more: "A pin, an inhibit file, a hook and a metered link (not with FILE) still hold it: then the exit code is 9.",
                ..verb(
                    What::Install,
                    "install",
                    "Install what is offered now, past windows, postponement and consent",
                )
            },
            verb(
                What::Cancel,
                "cancel",
                "Stop a download or installation, where it can be gone on with; or give up what waits for its restart",
            ),
            Verb {
                operand: Some(Operand {
                    name: "DURATION",
                    needed: true,
                    about: "How long: a number and m, h or d",
                }),
                ..verb(
                    What::Postpone,
                    "postpone",
                    "Put updates off for a time such as 90m, 12h or 3d; 0 ends it",
                )
            },
            Verb {
                operand: Some(Operand {
                    name: "VERSION",
                    needed: false,
                    about: "Its version; what is offered, without",
                }),
                flags: &[flag("withdraw", "Take consent back")],
                ..verb(
                    What::Consent,
                    "consent",
                    "Let a release be installed where the policy asks for consent",
                )
            },
        ],
    },
    Group {
        heading: "The firmware on trial",
        verbs: &[
            Verb {
                flags: &[flag(
                    "unheard",
                    "Keep it whatever its health checks would say",
                )],
                ..verb(
                    What::Commit,
                    "commit",
                    "Judge the firmware on trial now, and keep it if it is well",
                )
            },
            Verb {
                flags: &[Flag {
                    name: "why",
                    value: Some("TEXT"),
                    about: "Why, for the history and the report",
                }],
                ..verb(
                    What::Rollback,
                    "rollback",
                    "Leave the firmware on trial, or go back to the one before; refused where the security floor forbids it",
                )
            },
        ],
    },
    Group {
        heading: "Identity and trust",
        verbs: &[
            Verb {
                flags: &[flag(
                    "now",
                    "Renew it now, whenever it would be time; an attempt that failed is not waited for",
                )],
                ..verb(
                    What::Enrol,
                    "enrol",
                    "Get this device's certificate, or renew it when it is time, as every run does first",
                )
            },
            Verb {
                flags: &[flag(
                    "again",
                    "Also where the device trusts it already, or has lost what it trusted: forget all of it, with its rollback floor, \
                     but for revocation lists; every CA that certified signers needs a current one",
                )],
                ..verb(
                    What::Bootstrap,
                    "bootstrap",
                    "Begin to trust the repository, as a blank device does by itself on its first run; install nothing",
                )
            },
        ],
    },
    Group {
        heading: "Trying things out",
        verbs: &[Verb {
            operand: Some(Operand {
                name: "STEP",
                needed: true,
                about: "init: make the boot loader's state of a device that leaves the factory, slot A runs, slot B is empty; \
                        power-on: start the device, from the first slot that has starts left",
            }),
            ..verb(
                What::Simulate,
                "simulate",
                "Act as the boot loader of a simulated device",
            )
        }],
    },
];

/// All commands, without their headings.
pub(super) fn all() -> impl Iterator<Item = &'static Verb> {
    GROUPS.iter().flat_map(|group| group.verbs)
}
