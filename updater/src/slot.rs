//! The two slots, and the way of an image into the one that does not run.
//!
//! ```text
//! SlotGroup::inactive -> InactiveSlot --begin (unbootable first)--> OpenSlot --write--> ImageWriter
//!     --finish (fsync, read back, compare)--> WrittenImage --OpenSlot::stage--> StagedSlot --BootControl::arm-->
//! ```
//!
//! A slot is a group of places, one for each slot class, that are switched together. A place is a block device or a file;
//! both are opened and written the same way, and neither grows.

mod emmc;
mod place;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use device_pki::disk::{Disk, Reader};
use metadata_schema::release::SlotClass;
use serde::{Deserialize, Serialize};

pub use emmc::EmmcBoot;
pub use place::Place;
pub use writer::{ImageWriter, WrittenImage};

use crate::boot::BootControl;
use crate::error::{BootError, SlotError};
use crate::lifecycle::ImageRef;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SlotName {
    /// Slot A.
    A,
    /// Slot B.
    B,
}

impl SlotName {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// `A` or `B`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the images of both slots stand.
#[derive(Clone, Debug)]
pub struct SlotGroup {
    places: BTreeMap<SlotClass, (Place, Place)>,
    disk: Disk,
}

impl SlotGroup {
    /// The slots, by class the places of A and B.
    pub fn new(places: BTreeMap<SlotClass, (PathBuf, PathBuf)>) -> Self {
        Self::on(Disk::default(), places)
    }

    /// The same on this disk.
    pub fn on(disk: Disk, places: BTreeMap<SlotClass, (PathBuf, PathBuf)>) -> Self {
        let place = |path| Place::new(path).on(&disk);
        let places = places.into_iter();
        Self {
            places: places
                .map(|(class, (a, b))| (class, (place(a), place(b))))
                .collect(),
            disk,
        }
    }

    /// The same, and the boot partitions of an eMMC: the one in force is of the slot that runs, whatever its name, so that the other
    /// one is written.
    ///
    /// # Errors
    /// If it cannot be told which is in force.
    pub fn with_emmc(mut self, emmc: &EmmcBoot, booted: SlotName) -> Result<Self, SlotError> {
        let (active, other) = emmc.places()?;
        let [active, other] = [active, other].map(|place| place.on(&self.disk));
        let places = match booted {
            SlotName::A => (active, other),
            SlotName::B => (other, active),
        };
        self.places.insert(emmc.class().clone(), places);
        Ok(self)
    }

    /// No two places may be one: what is written to one slot would stand in the other, which runs.
    ///
    /// # Errors
    /// If a place cannot be looked at, or two are the same file or device, by whatever names.
    pub fn check_distinct(&self) -> Result<(), SlotError> {
        let mut seen: Vec<(String, &Place)> = Vec::new();
        for place in self.places.values().flat_map(|(a, b)| [a, b]) {
            let identity = place.identity()?;
            if let Some((_, other)) = seen.iter().find(|(known, _)| *known == identity) {
                return Err(SlotError::Same {
                    one: other.path().to_owned(),
                    other: place.path().to_owned(),
                });
            }
            seen.push((identity, place));
        }
        Ok(())
    }

    /// The slot that this device or file is of, by whatever name.
    pub fn slot_of(&self, path: &std::path::Path) -> Option<SlotName> {
        let wanted = Place::new(path.to_owned()).identity().ok()?;
        let is = |place: &Place| place.identity().is_ok_and(|identity| identity == wanted);
        self.places
            .values()
            .find_map(|(a, b)| match (is(a), is(b)) {
                (true, _) => Some(SlotName::A),
                (_, true) => Some(SlotName::B),
                _ => None,
            })
    }

    /// The place of a class in a slot.
    pub fn place(&self, slot: SlotName, class: &SlotClass) -> Option<&Place> {
        let (a, b) = self.places.get(class)?;
        Some(match slot {
            SlotName::A => a,
            SlotName::B => b,
        })
    }

    /// The classes, each with what both of its places can hold, in bytes.
    ///
    /// # Errors
    /// If a place is missing or unreadable.
    pub fn capacities(&self) -> Result<Vec<(SlotClass, u64)>, SlotError> {
        let capacity = |(class, (a, b)): (&SlotClass, &(Place, Place))| {
            Ok((class.clone(), a.capacity()?.min(b.capacity()?)))
        };
        self.places.iter().map(capacity).collect()
    }

    /// The slot that does not run: the only one that can be written.
    pub fn inactive(&self, booted: SlotName) -> InactiveSlot<'_> {
        InactiveSlot {
            group: self,
            name: booted.other(),
        }
    }
}

/// A slot that does not run.
pub struct InactiveSlot<'a> {
    group: &'a SlotGroup,
    name: SlotName,
}

/// An inactive slot that the boot loader will not start: it may be written.
pub struct OpenSlot<'a> {
    group: &'a SlotGroup,
    name: SlotName,
}

/// A slot whose every image was read back and compared.
#[derive(Debug)]
pub struct StagedSlot {
    name: SlotName,
}

impl<'a> InactiveSlot<'a> {
    /// Its name.
    pub fn name(&self) -> SlotName {
        self.name
    }

    /// Makes the slot unbootable; only then may the first byte be written.
    ///
    /// # Errors
    /// If the boot loader's state cannot be changed.
    pub fn begin(self, boot: &mut dyn BootControl) -> Result<OpenSlot<'a>, BootError> {
        boot.mark_unbootable(self.name)?;
        Ok(OpenSlot {
            group: self.group,
            name: self.name,
        })
    }
}

impl OpenSlot<'_> {
    /// Begins to write an image of `length` bytes, from `offset` on (0, or where an interrupted writer stopped).
    ///
    /// # Errors
    /// If there is no place for the class, or the image does not fit.
    pub fn write(
        &self,
        class: &SlotClass,
        length: u64,
        offset: u64,
    ) -> Result<ImageWriter, SlotError> {
        ImageWriter::open(self.place(class)?, class, length, offset)
    }

    /// Opens what was written of an image before, for reading.
    ///
    /// # Errors
    /// If there is no place for the class, or it cannot be opened.
    pub fn written(&self, class: &SlotClass) -> Result<Reader, SlotError> {
        self.place(class)?.open()
    }

    /// The image, if it stands in the slot already.
    pub fn holds_already(&self, class: &SlotClass, image: &ImageRef) -> Option<WrittenImage> {
        WrittenImage::compared(self.place(class).ok()?, class, image).ok()
    }

    /// The slot is complete: `written` are all of the `expected` images and nothing else.
    ///
    /// # Errors
    /// If an image is missing.
    pub fn stage(
        self,
        written: &[WrittenImage],
        expected: &BTreeMap<SlotClass, ImageRef>,
    ) -> Result<StagedSlot, SlotError> {
        for (class, image) in expected {
            if !written
                .iter()
                .any(|w| w.class() == class && w.image() == image)
            {
                return Err(SlotError::Incomplete {
                    slot: self.name,
                    class: class.clone(),
                });
            }
        }
        Ok(StagedSlot { name: self.name })
    }

    /// Where the images of a class are.
    pub(crate) fn place(&self, class: &SlotClass) -> Result<&Place, SlotError> {
        let none = || SlotError::NoPlace {
            slot: self.name,
            class: class.clone(),
        };
        self.group.place(self.name, class).ok_or_else(none)
    }
}

impl StagedSlot {
    /// Its name.
    pub fn name(&self) -> SlotName {
        self.name
    }

    /// A slot that was staged in an earlier run, which the stored state says: its images are read and compared again.
    ///
    /// # Errors
    /// If an image is not the one that was staged.
    pub fn again(
        group: &SlotGroup,
        name: SlotName,
        expected: &BTreeMap<SlotClass, ImageRef>,
    ) -> Result<Self, SlotError> {
        for (class, image) in expected {
            let none = || SlotError::NoPlace {
                slot: name,
                class: class.clone(),
            };
            group.place(name, class).ok_or_else(none)?.holds(image)?;
        }
        Ok(Self { name })
    }
}
