//! Reports about this device. Reporting never decides anything: what goes wrong here is only logged.

use device_pki::{DeviceReport, ReportEvent, SystemEntropy, report};
use metadata_schema::time::ReferenceTime;

use super::{Updater, identity, network};
use crate::error::Error;
use crate::install::PayloadKind;
use crate::report::Outbox;

impl Updater {
    /// Writes a report, to be sent when the server can be reached.
    pub(super) fn tell(
        &self,
        event: ReportEvent,
        detail: &str,
        payload: Option<(u64, PayloadKind)>,
        now: ReferenceTime,
    ) {
        if self.config.server.reports.is_none() {
            return;
        }
        let written = || -> Result<(), Error> {
            let Some(device) = identity::urn(&self.config, &self.states)? else {
                return Ok(());
            };
            let report = DeviceReport {
                format: report::FORMAT,
                id: DeviceReport::random_id(&mut SystemEntropy).map_err(Error::Identity)?,
                device,
                sent: now,
                product: self.config.device.product.to_string(),
                hardware: self.config.device.hardware.to_string(),
                slot: self.state.slot.to_string(),
                firmware_version: self.state.running.version.to_string(),
                event,
                detail: detail.chars().take(1000).collect(),
                bytes_downloaded: payload.map_or(0, |(bytes, _)| bytes),
                payload_kind: payload
                    .map(|(_, kind)| kind.to_string())
                    .unwrap_or_default(),
            };
            Ok(self.outbox()?.add(&report)?)
        };
        if let Err(e) = written() {
            tracing::warn!(error = %e, "no report could be written");
        }
    }

    /// Sends the reports that wait.
    pub(super) async fn send_reports(&self, now: ReferenceTime) {
        let Some(url) = &self.config.server.reports else {
            return;
        };
        match (
            network::http(&self.config, &self.states, false, now),
            self.outbox(),
        ) {
            (Ok(http), Ok(outbox)) => {
                outbox.send(http.client(), url).await;
            }
            (Err(e), _) | (_, Err(e)) => tracing::warn!(error = %e, "reports wait"),
        }
    }

    fn outbox(&self) -> Result<Outbox, Error> {
        let folder = self.config.state.join("reports");
        Ok(Outbox::open(&folder, self.states.storage())?)
    }
}
