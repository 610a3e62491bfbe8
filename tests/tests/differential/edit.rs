//! What may happen to a repository between two refreshes.

use proptest::prelude::*;

/// Roles, by place: the four top-level ones and those of the base.
pub(crate) const ROLES: [&str; 7] = ["root", "timestamp", "snapshot", "targets", "a", "b", "c"];
/// Those that delegate to others, or may.
pub(crate) const TARGETS: [&str; 4] = ["targets", "a", "b", "c"];

/// One change. Roles are places in [`ROLES`] or [`TARGETS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// New content of a target.
    Target {
        role: usize,
        path: usize,
        content: u8,
    },
    /// A target is gone.
    NoTarget { role: usize, path: usize },
    /// It has expired, or holds for so many days.
    Expires { role: usize, days: i64 },
    /// Any version.
    Version { role: usize, to: u64 },
    /// One more key that signs.
    AddKey { role: usize },
    /// One key less, if there are two.
    RemoveKey { role: usize },
    /// New keys for old.
    Rotate { role: usize },
    /// How many must sign.
    Threshold { role: usize, to: u32 },
    /// Somebody does not sign, though authorised.
    NotSigned { role: usize },
    /// The signers of another role sign.
    SignedAs { role: usize, by: usize },
    /// A delegation, perhaps a second one, perhaps in a circle.
    Delegate {
        from: usize,
        to: usize,
        paths: usize,
        terminating: bool,
    },
    /// A delegation is taken back.
    Undelegate { from: usize, to: usize },
    /// What timestamp or snapshot say of a file.
    Listed { of: usize, how: Listed },
    /// A change of what is signed that the types do not allow.
    Signed { role: usize, how: Signed },
    /// A change of the file after it is signed.
    File { role: usize, how: File },
    /// The current file of a role is served otherwise.
    Served { role: usize, how: Served },
    /// Everything is served as it should be again.
    Heal,
}

/// How a listing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    VersionUp,
    VersionDown,
    RightLength,
    WrongLength,
    RightSha256,
    RightSha512,
    WrongSha256,
    RightAndWrong,
    UnknownDigest,
    Gone,
}

/// How what is signed is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    UnknownMember,
    NullMember,
    EmptyCustom,
    NotNormalised,
    LargeInteger,
    UnknownKeyType,
    UnknownRole,
    OtherMinorSpec,
    ShortSpec,
    OtherMajorSpec,
    NoConsistentSnapshot,
    NoTerminating,
    OtherType,
    ZeroThreshold,
    ForeignKeyId,
    FalseKeyId,
    NoPaths,
}

/// How the file is changed after signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    TwiceTheSame,
    NotHexBeside,
    EmptyBeside,
    UnknownBeside,
    NoSignatures,
    UpperCase,
    UnknownMember,
    FlippedBit,
}

/// How a file is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Missing,
    ServerError,
    Empty,
    Garbage,
    Half,
    OlderVersion,
}

pub(crate) fn edits() -> impl Strategy<Value = Edit> {
    let role = 0..ROLES.len();
    let targets = 0..TARGETS.len();
    let path = 0..crate::scenario::LOOKUPS.len();
    prop_oneof![
        4 => (targets.clone(), path.clone(), any::<u8>())
            .prop_map(|(role, path, content)| Edit::Target { role, path, content }),
        1 => (targets.clone(), path).prop_map(|(role, path)| Edit::NoTarget { role, path }),
        2 => (role.clone(), prop_oneof![Just(-1_i64), 0..40_i64])
            .prop_map(|(role, days)| Edit::Expires { role, days }),
        1 => (role.clone(), 1..8_u64).prop_map(|(role, to)| Edit::Version { role, to }),
        2 => role.clone().prop_map(|role| Edit::AddKey { role }),
        1 => role.clone().prop_map(|role| Edit::RemoveKey { role }),
        3 => role.clone().prop_map(|role| Edit::Rotate { role }),
        2 => (role.clone(), 1..4_u32).prop_map(|(role, to)| Edit::Threshold { role, to }),
        2 => role.clone().prop_map(|role| Edit::NotSigned { role }),
        1 => (role.clone(), role.clone()).prop_map(|(role, by)| Edit::SignedAs { role, by }),
        3 => (targets.clone(), 1..TARGETS.len(), 0..5_usize, any::<bool>()).prop_map(
            |(from, to, paths, terminating)| Edit::Delegate { from, to, paths, terminating }
        ),
        1 => (targets.clone(), targets).prop_map(|(from, to)| Edit::Undelegate { from, to }),
        4 => (2..ROLES.len(), listed()).prop_map(|(of, how)| Edit::Listed { of, how }),
        4 => (role.clone(), signed()).prop_map(|(role, how)| Edit::Signed { role, how }),
        3 => (role.clone(), file()).prop_map(|(role, how)| Edit::File { role, how }),
        2 => (role, served()).prop_map(|(role, how)| Edit::Served { role, how }),
        1 => Just(Edit::Heal),
    ]
}

fn listed() -> impl Strategy<Value = Listed> {
    prop::sample::select(vec![
        Listed::VersionUp,
        Listed::VersionDown,
        Listed::RightLength,
        Listed::WrongLength,
        Listed::RightSha256,
        Listed::RightSha512,
        Listed::WrongSha256,
        Listed::RightAndWrong,
        Listed::UnknownDigest,
        Listed::Gone,
    ])
}

fn signed() -> impl Strategy<Value = Signed> {
    prop::sample::select(vec![
        Signed::UnknownMember,
        Signed::NullMember,
        Signed::EmptyCustom,
        Signed::NotNormalised,
        Signed::LargeInteger,
        Signed::UnknownKeyType,
        Signed::UnknownRole,
        Signed::OtherMinorSpec,
        Signed::ShortSpec,
        Signed::OtherMajorSpec,
        Signed::NoConsistentSnapshot,
        Signed::NoTerminating,
        Signed::OtherType,
        Signed::ZeroThreshold,
        Signed::ForeignKeyId,
        Signed::FalseKeyId,
        Signed::NoPaths,
    ])
}

fn file() -> impl Strategy<Value = File> {
    prop::sample::select(vec![
        File::TwiceTheSame,
        File::NotHexBeside,
        File::EmptyBeside,
        File::UnknownBeside,
        File::NoSignatures,
        File::UpperCase,
        File::UnknownMember,
        File::FlippedBit,
    ])
}

fn served() -> impl Strategy<Value = Served> {
    prop::sample::select(vec![
        Served::Missing,
        Served::ServerError,
        Served::Empty,
        Served::Garbage,
        Served::Half,
        Served::OlderVersion,
    ])
}
