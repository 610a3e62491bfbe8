//! Enrolment in SQLite: one file per subject.

mod audit;
mod change;
mod devices;
mod issuing;
mod lists;
mod switch;

use device_pki::{Certificate, DeviceIdentity, SerialNumber};
use metadata_schema::time::Timestamp;

use super::SqliteStore;
use crate::error::Result;
use crate::store::audit::Entry;
use crate::store::enrolments::{Ask, Enrolments, IssuedRow, Listed, Revoked, Verdict};

impl Enrolments for SqliteStore {
    fn enrol(&self, ask: &Ask, sign: &dyn Fn() -> Result<Certificate>) -> Result<Verdict> {
        issuing::enrol(self, ask, sign)
    }

    fn used(&self, device: &DeviceIdentity, now: Timestamp) -> Result<usize> {
        issuing::used(self, device, now)
    }

    fn allow(&self, devices: &[String], by: &str, now: Timestamp) -> Result<usize> {
        devices::allow(self, devices, by, now)
    }

    fn revoke(&self, device: &str, by: &str, now: Timestamp) -> Result<Vec<String>> {
        devices::revoke(self, device, by, now)
    }

    fn approve(&self, device: &str, by: &str, now: Timestamp) -> Result<bool> {
        devices::approve(self, device, by, now)
    }

    fn token(&self, device: &str, hash: &str, by: &str, now: Timestamp) -> Result<()> {
        devices::token(self, device, hash, by, now)
    }

    fn enable(&self, enabled: bool, by: &str, now: Timestamp) -> Result<bool> {
        switch::enable(self, enabled, by, now)
    }

    fn enabled(&self) -> Result<bool> {
        switch::enabled(self)
    }

    fn listed(&self) -> Result<Vec<Listed>> {
        devices::listed(self)
    }

    fn issued(&self, device: &str) -> Result<Vec<IssuedRow>> {
        issuing::issued(self, device)
    }

    fn import(&self, entries: &[(SerialNumber, Timestamp)], now: Timestamp) -> Result<usize> {
        lists::import(self, entries, now)
    }

    fn revoked(&self, expired_before: Timestamp) -> Result<Revoked> {
        lists::revoked(self, expired_before)
    }

    fn take_list_number(&self, above: u64) -> Result<u64> {
        lists::take_list_number(self, above)
    }

    fn audit(&self, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        audit::audit(self, each)
    }
}
