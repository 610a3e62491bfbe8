//! `GET /healthz`

use axum::Json;
use axum::extract::State;

use super::App;
use crate::problem::Problem;

/// Answers if the database does.
pub(super) async fn healthz(State(app): State<App>) -> Result<Json<serde_json::Value>, Problem> {
    app.blocking("ask the database", |store| store.check())
        .await?;
    Ok(Json(serde_json::json!({"status": "ok"})))
}
