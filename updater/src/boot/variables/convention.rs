//! What variables mean, and which are to be set: pure.
//!
//! `Order` and `Grub` are the conventions of RAUC's users, so their variables and scripts may stay. One variable is added: the slot
//! that is on trial. Scripts that know it count the starts of that slot only, and a committed one does not wear out; with scripts
//! that count every start, the committed slot's count is filled up again by each run of the updater. `Bootcount` is Mender's
//! convention, which stands on U-Boot's own counter.

use super::Values;
use crate::boot::TRIES;
use crate::boot::running::slot_named;
use crate::slot::SlotName;

/// The conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// U-Boot: an order of slots, and starts left for each.
    Order,
    /// U-Boot: a partition, a counter that is counted while an upgrade is on trial, its limit, and `altbootcmd`.
    Bootcount,
    /// GRUB: an order of slots, and for each whether it is good and how often it was tried.
    Grub,
}

/// A convention with the names of its variables.
#[derive(Clone, Debug)]
pub(crate) struct Convention {
    kind: Kind,
    slots: [String; 2],
    /// By what they are for.
    names: Vec<(&'static str, String)>,
}

/// Whether it may name a slot or a variable in a boot loader's script.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

impl Convention {
    /// `changed` are names that differ from the usual ones, by what they are for.
    pub(crate) fn new(kind: Kind, slots: [String; 2], changed: &Values) -> Result<Self, String> {
        let [a, b] = &slots;
        let mut names = match kind {
            Kind::Order => vec![
                ("order", "BOOT_ORDER".to_owned()),
                ("trial", "BOOT_TRIAL".to_owned()),
                ("left_a", format!("BOOT_{a}_LEFT")),
                ("left_b", format!("BOOT_{b}_LEFT")),
            ],
            Kind::Bootcount => vec![
                ("part", "mender_boot_part".to_owned()),
                ("part_hex", "mender_boot_part_hex".to_owned()),
                ("available", "upgrade_available".to_owned()),
                ("count", "bootcount".to_owned()),
                ("limit", "bootlimit".to_owned()),
            ],
            Kind::Grub => vec![
                ("order", "ORDER".to_owned()),
                ("trial", "TRIAL".to_owned()),
                ("ok_a", format!("{a}_OK")),
                ("ok_b", format!("{b}_OK")),
                ("try_a", format!("{a}_TRY")),
                ("try_b", format!("{b}_TRY")),
            ],
        };
        for (role, name) in changed {
            let known: Vec<&str> = names.iter().map(|(role, _)| *role).collect();
            if !is_name(name) {
                return Err(format!(
                    "[boot.names] {role}: {name:?} is no name of a variable"
                ));
            }
            match names.iter_mut().find(|(known, _)| known == role) {
                Some((_, usual)) => usual.clone_from(name),
                None => return Err(format!("[boot.names] has {role:?}; known are {known:?}")),
            }
        }
        Ok(Self { kind, slots, names })
    }

    /// The variables.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.names.iter().map(|(_, name)| name.as_str()).collect()
    }

    /// The slot that is started next.
    ///
    /// # Errors
    /// What was found, if it makes no sense.
    pub(crate) fn next(&self, values: &Values) -> Result<Option<SlotName>, String> {
        if self.kind == Kind::Bootcount {
            let slot = self.slot("part", self.value(values, "part"))?;
            let on_trial = self.number(values, "available")? != 0;
            let spent = self.number(values, "count")? >= self.number(values, "limit")?;
            return Ok(Some(if on_trial && spent {
                slot.other()
            } else {
                slot
            }));
        }
        let order = self.value(values, "order");
        if order.trim().is_empty() {
            return Err(format!("{} is not set", self.name("order")));
        }
        let trial = match self.value(values, "trial") {
            "" => None,
            trial => Some(self.slot("trial", trial)?),
        };
        let mut next = None;
        for word in order.split_whitespace() {
            let slot = self.slot("order", word)?;
            let starts = match self.kind {
                Kind::Grub => {
                    let tried = self.number(values, of("try_a", "try_b", slot))?;
                    let good = self.number(values, of("ok_a", "ok_b", slot))? != 0;
                    good && (trial != Some(slot) || tried < TRIES)
                }
                _ => self.number(values, of("left_a", "left_b", slot))? > 0,
            };
            if starts && next.is_none() {
                next = Some(slot);
            }
        }
        Ok(next)
    }

    /// `slot` is tried, and then the other one.
    pub(crate) fn armed(&self, slot: SlotName) -> Values {
        let other = slot.other();
        match self.kind {
            Kind::Bootcount => self.part(slot, "1"),
            _ => self.order(&[slot, other], Some(slot), &[(slot, true), (other, true)]),
        }
    }

    /// `slot` is not started, and the other one is as often as anybody likes.
    pub(crate) fn without(&self, slot: SlotName) -> Values {
        let other = slot.other();
        match self.kind {
            Kind::Bootcount => self.part(other, "0"),
            _ => self.order(&[other], None, &[(slot, false), (other, true)]),
        }
    }

    /// `slot` is first for good; the other one is what it was, unless it was on trial.
    pub(crate) fn committed(&self, slot: SlotName, values: &Values) -> Values {
        let other = slot.other();
        let name = self.slot_name(other);
        let in_order = |role| {
            self.value(values, role)
                .split_whitespace()
                .any(|w| w == name)
        };
        match self.kind {
            Kind::Bootcount => self.part(slot, "0"),
            _ if in_order("trial") => self.without(other),
            _ if in_order("order") => self.order(&[slot, other], None, &[(slot, true)]),
            _ => self.order(&[slot], None, &[(slot, true)]),
        }
    }

    fn part(&self, slot: SlotName, available: &str) -> Values {
        let part = self.slot_name(slot);
        let mut values = vec![("part", part.to_owned())];
        if let Ok(number) = part.parse::<u32>() {
            values.push(("part_hex", format!("{number:x}")));
        }
        values.push(("available", available.to_owned()));
        values.push(("count", "0".to_owned()));
        values.push(("limit", TRIES.to_string()));
        self.values(values)
    }

    fn order(
        &self,
        order: &[SlotName],
        trial: Option<SlotName>,
        good: &[(SlotName, bool)],
    ) -> Values {
        let order: Vec<&str> = order.iter().map(|slot| self.slot_name(*slot)).collect();
        let trial = trial.map_or("", |slot| self.slot_name(slot));
        let mut values = vec![("order", order.join(" ")), ("trial", trial.to_owned())];
        for (slot, good) in good {
            if self.kind == Kind::Grub {
                let ok = if *good { "1" } else { "0" };
                values.push((of("ok_a", "ok_b", *slot), ok.to_owned()));
                values.push((of("try_a", "try_b", *slot), "0".to_owned()));
            } else {
                let left = if *good { TRIES } else { 0 };
                values.push((of("left_a", "left_b", *slot), left.to_string()));
            }
        }
        self.values(values)
    }

    fn values(&self, values: Vec<(&'static str, String)>) -> Values {
        let named = |(role, value)| (self.name(role).to_owned(), value);
        values.into_iter().map(named).collect()
    }

    fn name(&self, role: &str) -> &str {
        let found = self.names.iter().find(|(known, _)| *known == role);
        found.map_or("", |(_, name)| name)
    }

    fn value<'v>(&self, values: &'v Values, role: &str) -> &'v str {
        values.get(self.name(role)).map_or("", String::as_str)
    }

    fn number(&self, values: &Values, role: &str) -> Result<u32, String> {
        let text = self.value(values, role);
        let number = text.trim().parse();
        number.map_err(|_| format!("{} is {text:?} and not a number", self.name(role)))
    }

    fn slot(&self, role: &str, text: &str) -> Result<SlotName, String> {
        let (name, slots) = (self.name(role), &self.slots);
        slot_named(text, slots)
            .ok_or_else(|| format!("{name} has {text:?}, and the slots are {slots:?}"))
    }

    fn slot_name(&self, slot: SlotName) -> &str {
        let [a, b] = &self.slots;
        of(a, b, slot)
    }
}

fn of<T>(a: T, b: T, slot: SlotName) -> T {
    match slot {
        SlotName::A => a,
        SlotName::B => b,
    }
}
