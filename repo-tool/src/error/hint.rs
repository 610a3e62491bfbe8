//! What helps.

use super::Error;

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Pki(error) => return error.hint(),
            Self::Metadata(error) => return Some(error.hint()),
            Self::MetadataFile { source, .. } => return Some(source.hint()),
            Self::Payload { source, .. } => return Some(source.hint()),
            Self::Diff { source, .. } => return Some(source.hint()),
            Self::Argument { .. } => "see `repo-tool help` for the arguments of each command",
            Self::Settings { .. } | Self::WriteSettings { .. } => {
                "docs/OPERATIONS.md explains every setting of repo.toml"
            }
            Self::NotARepository { .. } => "make one with `repo-tool init`",
            Self::NotPublished { .. } => {
                "name the folder that a web server serves, or the repository's own"
            }
            Self::Exists { .. } => "choose another folder; nothing was changed",
            Self::Locked { .. } => "wait until it has ended, then try again",
            Self::NotThere { .. } => {
                "`repo-tool signers list` shows who signs what; give the name as in the certificate, or 8 digits of the key id"
            }
            Self::Several { reasons } => return reasons.first().and_then(Self::hint),
            Self::LockOut { .. } => {
                "name at least as many different people as the threshold asks for"
            }
            Self::NotBound { .. } => {
                "have the Firmware-Signing CA issue a certificate that names this role"
            }
            Self::NotASigner { .. } => {
                "`repo-tool status` lists who may sign; was the right key file given?"
            }
            Self::OnlineKey { .. } => {
                "restore the key, name it in [online] of repo.toml, or have root name another one with `repo-tool rotate-online`"
            }
            Self::NothingStaged { .. } => {
                "stage a change first, such as with `repo-tool add-release`"
            }
            Self::Audit { .. } => {
                "compare it with other copies of the repository; whoever changed it did more than these tools do"
            }
            Self::Offer { .. } => {
                "give a copy of the repository, its `staged/signatures`, or files from there"
            }
            Self::Setup { .. } => {
                "mend all of it and run `init` again; `repo-tool init --example` prints a set-up with comments"
            }
            Self::Baseline { .. } => {
                "sign nothing in this copy: fetch it again, from somebody you trust, and give your own --anchor; `--repair` is for the way back after a theft of online keys"
            }
            Self::Remembered { .. } => {
                "fetch the current state; if the others say that this is meant, add --forget once"
            }
            Self::WrongSignature { .. } => {
                "export again and compare sha256: was another draft signed? RSA wants PSS with a salt as long as the digest"
            }
            Self::Document { .. } => {
                "start from the file in published/metadata, and change what is to change"
            }
            Self::NotMerged { .. } => {
                "what was taken stays; the rest has to be signed as it is staged here"
            }
            Self::Signed { .. } => "add --yes if that is meant; they will have to sign again",
            Self::AnotherEvent { .. } => {
                "read `repo-tool show` again; to name an event takes its id, or 32 digits of it"
            }
            Self::NotAgreed { .. } => {
                "add `--event ID` with the id that `repo-tool show` gave, or `--yes` if what is staged here is what you have read"
            }
            Self::Unclear { .. } => {
                "name it with `--product` and `--channel`; `repo-tool releases` lists what is offered"
            }
            Self::EndsEarly { .. } => {
                "give `--valid` fewer days; or have the certificates renewed that run out before, and what they signed signed again"
            }
            Self::NoSuchProduct { .. } => "add it with `repo-tool add-product`",
            Self::Missing { .. } => {
                "copy it from another keeper's folder, or stage the change again"
            }
            Self::MissingMetadata { .. } => "publish the repository again: it is incomplete",
            Self::Overtaken { .. } => {
                "empty `staged`, fetch what is published, and stage the change again"
            }
            Self::Falls { .. } => {
                "devices never go back: offer a higher number, or publish the old firmware under a new version"
            }
            Self::SameVersion { .. } => {
                "a version names one firmware: give the new one a new version"
            }
            Self::Content { .. } | Self::PayloadDiffers { .. } => {
                "the file was changed after it was signed: restore it, or make the release again"
            }
            Self::Absent { .. } => "check the spelling of product and channel, and the delegations",
            Self::CannotImport { .. } => {
                "with the old tool, move the targets into the top-level role and end the delegations first"
            }
            Self::NothingPublished { .. } => "publish a first event with `repo-tool publish`",
            Self::Remote { .. } => {
                "nothing is half published: run the same command again; are address and credentials right?"
            }
            Self::RemoteAhead { .. } => {
                "fetch your colleague's folder, and stage your change upon it; nothing was overwritten"
            }
            Self::RemoteDiffers { .. } => {
                "two folders published the same version; if nobody's push is under way and no device has seen that file, `push --replace-leftovers` overwrites it"
            }
            Self::RemoteChanged { .. } => "somebody else is publishing: look with `push --dry-run`",
            Self::RemoteContent { .. } => "run `push` again; if it stays so, the store is damaged",
            Self::NeedsAttention { .. } => "each finding names the command that mends it",
            Self::Io { .. } | Self::Name(_) | Self::Shape(_) | Self::Release { .. } => return None,
        })
    }
}
