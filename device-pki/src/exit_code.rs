//! Exit codes: 0 done, 2 usage, 6 storage, 8 a name, key, certificate or passphrase is not as it should be, 1 anything else.

use std::process::ExitCode;

use device_pki::Error;

pub(crate) fn of(error: &Error) -> ExitCode {
    ExitCode::from(match error {
        Error::Io { .. } | Error::TooLarge { .. } => 6,
        Error::Malformed { .. }
        | Error::WrongPassphrase { .. }
        | Error::PassphraseNeeded { .. }
        | Error::Name { .. }
        | Error::Algorithm { .. }
        | Error::KeyMismatch { .. }
        | Error::RequestSignature { .. }
        | Error::Validity { .. }
        | Error::NotFound { .. }
        | Error::Ambiguous { .. }
        | Error::Exists { .. } => 8,
        _ => 1,
    })
}
