//! Where clients differ, why, and in which direction: the table that every disagreement must be found in.

use crate::edit::{Edit, File, Listed, Signed};
use crate::scenario::{Outcome, Scenario};

/// Which of two clients refuses what the other accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refuses {
    We,
    They,
    /// Both accept, and trust or find something else.
    Nobody,
    /// In the table: whoever.
    Any,
}

/// A difference that has its reason.
struct Difference {
    peer: &'static str,
    who: Refuses,
    /// Why. Shown by nobody: it is for the reader of this table.
    #[allow(dead_code, reason = "the table's point is to be read")]
    why: &'static str,
    /// What it comes of.
    of: Of,
}

/// What a difference can come of.
enum Of {
    Edit(fn(&Edit) -> bool),
    /// Something that was changed and not published: served at once, under the version that others have seen already.
    TwoFilesOfOneVersion,
    /// A lookup after a refresh that both accept, and not the first.
    LaterLookup,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::We,
        why: "a role on the way that the snapshot does not list: they pass over it; the \
              specification ends the search (5.6.7, metadata that cannot be downloaded nor \
              validated), for a mirror must not choose who is asked",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Listed {
                    how: Listed::Gone,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::We,
        why: "a delegation with a threshold of 0 makes the file malformed (section 4.3: \
              thresholds are 1 or more); they see it when they come to the role",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Signed {
                    how: Signed::ZeroThreshold | Signed::NoPaths,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::They,
        why: "integers beyond 2^64: canonical JSON has integers of any size",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Signed {
                    how: Signed::LargeInteger,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::We,
        why: "what expires at the very reference time has expired (5.3.10: MUST be higher); \
              they take it for one second more",
        of: Of::Edit(|edit| matches!(edit, Edit::Expires { days: 0, .. })),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::Any,
        why: "two files of one version by the same signers: under a new snapshot they fetch \
              everything again, we keep copies that the snapshot still names",
        of: Of::TwoFilesOfOneVersion,
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::We,
        why: "a rollback of a targets role that they refuse once they take at the next run: \
              the newer timestamp is stored by then, and with it their stored snapshot no \
              longer counts as a floor",
        of: Of::Edit(|edit| matches!(edit, Edit::Version { .. } | Edit::Listed { .. })),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::We,
        why: "two signatures under the id of a key that nobody authorised: the specification \
              says that ids MUST be unique in the array (4.2), without exception",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::File {
                    how: File::NotHexBeside | File::EmptyBeside | File::UnknownBeside,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::They,
        why: "they keep no delegated roles from run to run, and ask again for a file that is \
              damaged, gone or another by now",
        of: Of::LaterLookup,
    },
    Difference {
        peer: "sigstore-tuf",
        who: Refuses::They,
        why: "under a new snapshot they fetch targets again though their copy is still named, \
              and a damaged file is in the way",
        of: Of::Edit(|edit| matches!(edit, Edit::Served { .. })),
    },
    Difference {
        peer: "python-tuf",
        who: Refuses::They,
        why: "a key of an unknown type makes the whole file malformed; here it is kept and \
              never counts (4.2.1)",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Signed {
                    how: Signed::UnknownKeyType,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "python-tuf",
        who: Refuses::They,
        why: "a delegation that does not say whether it is terminating; here that reads as \
              false",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Signed {
                    how: Signed::NoTerminating,
                    ..
                }
            )
        }),
    },
    Difference {
        peer: "python-tuf",
        who: Refuses::We,
        why: "two files of one version after a rotation of online keys: we delete timestamp \
              and snapshot then (5.3.11), they keep what still verifies",
        of: Of::TwoFilesOfOneVersion,
    },
    Difference {
        peer: "python-tuf",
        who: Refuses::They,
        why: "a role of root that the specification does not name; here it is kept and ignored",
        of: Of::Edit(|edit| {
            matches!(
                edit,
                Edit::Signed {
                    how: Signed::UnknownRole,
                    ..
                }
            )
        }),
    },
];

/// Whether the table has every disagreement of a round.
pub(crate) fn explain(
    peer: &str,
    scenario: &Scenario,
    round: usize,
    our: &Outcome,
    their: &Outcome,
) -> bool {
    disagreements(our, their).into_iter().all(|who| {
        DIFFERENCES.iter().any(|difference| {
            let of = match difference.of {
                Of::Edit(of) => scenario.edits_until(round).any(of),
                Of::TwoFilesOfOneVersion => scenario.has_unpublished_edits(round),
                Of::LaterLookup => round > 0 && our.refresh.is_ok() && their.refresh.is_ok(),
            };
            let whose = difference.who == Refuses::Any || difference.who == who;
            difference.peer == peer && whose && of
        })
    })
}

/// Who refuses what the other accepts: the refresh, or one lookup after the other.
fn disagreements(our: &Outcome, their: &Outcome) -> Vec<Refuses> {
    let refresh = disagreement(&our.refresh, &their.refresh);
    if our.refresh.is_err() || their.refresh.is_err() {
        return refresh.into_iter().collect();
    }
    let pairs = our.lookups.iter().zip(&their.lookups);
    let lookups = pairs.filter_map(|(our, their)| disagreement(our, their));
    refresh.into_iter().chain(lookups).collect()
}

fn disagreement<T: PartialEq>(
    our: &Result<T, String>,
    their: &Result<T, String>,
) -> Option<Refuses> {
    match (our, their) {
        (Ok(our), Ok(their)) if our == their => None,
        (Ok(_), Ok(_)) => Some(Refuses::Nobody),
        (Err(_), Ok(_)) => Some(Refuses::We),
        (Ok(_), Err(_)) => Some(Refuses::They),
        // Refused for whatever reason is refused.
        (Err(_), Err(_)) => None,
    }
}
