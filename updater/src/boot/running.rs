//! Which slot runs, and which boot this is: the kernel's word.
//!
//! The boot loader tells the kernel on its command line, as `updater.slot=A`; where it does not, `root=` is looked for among the
//! places of the slots. If both speak they must agree.

use std::path::{Path, PathBuf};

use device_pki::durable;

use crate::config::BootConfig;
use crate::error::BootError;
use crate::slot::{SlotGroup, SlotName};

/// Longest command line that is read, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;
/// What is to be done if nobody says which slot runs.
const REPAIR: &str = "have the boot loader pass `updater.slot=A` or `updater.slot=B` to the kernel, or name its parameter in \
                      [boot] slot_parameter";

/// Where the kernel says it.
#[derive(Clone, Debug)]
pub(super) struct Running {
    cmdline: PathBuf,
    parameter: String,
    boot_id: PathBuf,
    names: [String; 2],
    slots: SlotGroup,
}

impl Running {
    pub(super) fn new(config: &BootConfig, names: [String; 2], slots: SlotGroup) -> Self {
        Self {
            cmdline: config.cmdline.clone(),
            parameter: config.slot_parameter.clone(),
            boot_id: config.boot_id.clone(),
            names,
            slots,
        }
    }

    /// What tells this boot from any other.
    pub(super) fn boot(&self) -> Result<String, BootError> {
        let id = self.read(&self.boot_id)?;
        let id = id.trim();
        if id.is_empty() {
            let repair = "mount /proc, or name another file in [boot] boot_id";
            return Err(unreadable(&self.boot_id, "it is empty".to_owned(), repair));
        }
        Ok(id.to_owned())
    }

    /// The slot that runs.
    pub(super) fn slot(&self) -> Result<SlotName, BootError> {
        let line = self.read(&self.cmdline)?;
        let wrong = |found: String| unreadable(&self.cmdline, found, REPAIR);
        let named = named_slot(&line, &self.parameter, &self.names).map_err(wrong)?;
        let root = value(&line, "root").and_then(device);
        let mounted = root.as_deref().and_then(|root| self.slots.slot_of(root));
        match (named, mounted) {
            (Some(named), Some(mounted)) if named != mounted => Err(wrong(format!(
                "it names slot {named}, and its root= is in slot {mounted}"
            ))),
            (Some(slot), _) | (None, Some(slot)) => Ok(slot),
            (None, None) => {
                let line: String = line.trim().chars().take(200).collect();
                let parameter = &self.parameter;
                Err(wrong(format!(
                    "{line:?} has no {parameter}=, and its root= is in no slot"
                )))
            }
        }
    }

    fn read(&self, path: &Path) -> Result<String, BootError> {
        let bytes = read(path, MAX_LENGTH).map_err(|why| unreadable(path, why, "mount /proc"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Reads a small file; the error says all that is known of why it cannot be.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    durable::read_bounded(path, limit).map_err(|e| in_full(&e))
}

/// An error with its causes.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// An error of what was read at `path`.
pub(super) fn unreadable(path: &Path, why: String, repair: &'static str) -> BootError {
    BootError::Unreadable {
        path: path.to_owned(),
        why,
        repair,
    }
}

/// The slot of a boot loader's name for it, or of ours.
pub(super) fn slot_named(text: &str, names: &[String; 2]) -> Option<SlotName> {
    [SlotName::A, SlotName::B]
        .into_iter()
        .zip(names)
        .find(|(slot, name)| text == *name || text.eq_ignore_ascii_case(slot.as_str()))
        .map(|(slot, _)| slot)
}

fn named_slot(
    line: &str,
    parameter: &str,
    names: &[String; 2],
) -> Result<Option<SlotName>, String> {
    let mut found = None;
    for text in values(line, parameter) {
        let slot = slot_named(text, names)
            .ok_or_else(|| format!("{parameter}={text} is neither of {names:?}"))?;
        if found.is_some_and(|known| known != slot) {
            return Err(format!("it has {parameter}= twice, and they differ"));
        }
        found = Some(slot);
    }
    Ok(found)
}

fn values<'a>(line: &'a str, parameter: &'a str) -> impl Iterator<Item = &'a str> {
    line.split_whitespace()
        .filter_map(move |word| word.strip_prefix(parameter)?.strip_prefix('='))
}

/// The last one counts, as for the kernel.
fn value<'a>(line: &'a str, parameter: &'a str) -> Option<&'a str> {
    values(line, parameter).last()
}

/// The path of what `root=` names.
fn device(root: &str) -> Option<PathBuf> {
    let (kind, name) = match root.split_once('=') {
        None => return root.starts_with('/').then(|| PathBuf::from(root)),
        Some((kind, name)) => (kind.to_ascii_lowercase(), name),
    };
    let known = ["partuuid", "partlabel", "uuid", "label"].contains(&kind.as_str());
    let name = match kind.as_str() {
        "partuuid" => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    };
    (known && !name.contains('/'))
        .then(|| Path::new("/dev/disk").join(format!("by-{kind}")).join(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::BootBackend;

    fn said(line: &str) -> Result<SlotName, String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.img", "b.img"] {
            std::fs::write(at(name), b"").unwrap();
        }
        let line = line.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(at("cmdline"), line).unwrap();
        let class = "rootfs".parse().unwrap();
        let slots = SlotGroup::new(BTreeMap::from([(class, (at("a.img"), at("b.img")))]));
        let config = BootConfig {
            cmdline: at("cmdline"),
            ..BootConfig::new(BootBackend::UBoot)
        };
        let names = ["system0", "system1"].map(str::to_owned);
        Running::new(&config, names, slots)
            .slot()
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_says_it_by_name_or_by_its_root() {
        let (a, b) = (Ok(SlotName::A), Ok(SlotName::B));
        assert_eq!(said("quiet updater.slot=A ro\n"), a);
        assert_eq!(said("updater.slot=system1"), b);
        assert_eq!(said("root=FOLDER/b.img ro"), b);
        assert_eq!(said("root=/dev/nothing root=FOLDER/a.img"), a);
        assert_eq!(said("updater.slot=b root=FOLDER/b.img"), b);
        assert_eq!(said("updater.slot=b root=/dev/dm-0"), b);
    }

    #[test]
    fn silence_and_contradictions_are_errors_that_say_what_was_found() {
        for (line, found) in [
            ("quiet ro", "has no updater.slot="),
            ("updater.slot=C", "updater.slot=C is neither of"),
            ("updater.slot=A updater.slot=B", "twice, and they differ"),
            ("updater.slot=A root=FOLDER/b.img", "its root= is in slot B"),
        ] {
            let error = said(line).unwrap_err();
            assert!(error.contains(found), "{line}: {error}");
            assert!(error.contains("cmdline"), "{line}: {error}");
        }
    }

    #[test]
    fn roots_by_other_names_are_links_below_dev_disk() {
        let path = |root| device(root).map(|path| path.display().to_string());
        assert_eq!(
            path("PARTUUID=AB-01").unwrap(),
            "/dev/disk/by-partuuid/ab-01"
        );
        assert_eq!(path("LABEL=Root").unwrap(), "/dev/disk/by-label/Root");
        assert_eq!(path("PARTUUID=ab/PARTNROFF=1"), None);
        assert_eq!(path("ubi0:rootfs"), None);
        assert_eq!(path("ZFS=x"), None);
    }
}
