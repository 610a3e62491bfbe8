//! `POST /v1/reports`: what a device says about itself.

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use device_pki::{DeviceIdentity, DeviceReport};

use super::App;
use crate::problem::Problem;
use crate::store::Recorded;

/// Largest report.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// Takes a report. The device is who its certificate says, and may speak for no other.
///
/// 201 for a new report, 200 for one that is known already: a device that got no answer sends it again.
pub(super) async fn post(
    State(app): State<App>,
    Extension(device): Extension<DeviceIdentity>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let too_large = || {
        let detail = format!("a report has at most {MAX_BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let announced = http_body::Body::size_hint(request.body()).lower();
    if announced > u64::try_from(MAX_BODY).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let body = tokio::time::timeout(app.limits.body, to_bytes(request.into_body(), MAX_BODY))
        .await
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body takes too long"))?
        .map_err(|_| too_large())?;
    let report = DeviceReport::from_json(&body)
        .map_err(|e| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))?;
    if report.device != *device.urn() {
        tracing::warn!(device = %device.urn(), claimed = %report.device, "report in another's name");
        let detail = format!("you are {}, and report for {}", device.urn(), report.device);
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let (id, now) = (report.id.clone(), app.clock.now());
    tracing::info!(device = %device.urn(), event = %report.event, version = report.firmware_version, "report");
    let recorded = app
        .blocking("record a report", move |store| {
            store.record(&device, &report, now)
        })
        .await?;
    let status = match recorded {
        Recorded::New => StatusCode::CREATED,
        Recorded::Known => StatusCode::OK,
    };
    Ok((
        status,
        Json(serde_json::json!({"id": id, "new": recorded == Recorded::New})),
    ))
}
