//! `GET` and `HEAD /repository/<path>`: published files, whole or in part.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::error::Error;
use crate::files::{FileBody, Opened};
use crate::problem::Problem;
use crate::range::{Selection, select};

/// The folder's place in URLs.
const PREFIX: &str = "/repository/";

pub(super) async fn get(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path().to_owned();
    let not_found = || Problem::new(StatusCode::NOT_FOUND, format!("there is no {path}"));
    let wanted = path.strip_prefix(PREFIX).ok_or_else(not_found)?.to_owned();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = "published files can only be read";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    }
    let folder = app.folder.clone();
    let opened = tokio::task::spawn_blocking(move || folder.open(&wanted)).await;
    let opened = opened.unwrap_or(Err(Error::CutOff {
        step: "open a file",
    }))?;
    let opened = opened.ok_or_else(not_found)?;
    answer(request.method(), request.headers(), opened).await
}

async fn answer(method: &Method, headers: &HeaderMap, opened: Opened) -> Result<Response, Problem> {
    let Opened { file, size, etag } = opened;
    let common = [
        (header::ETAG, etag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    if field(headers, &header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    // A part only of the file that the client began with, if it says which that was (RFC 9110, section 13.1.5).
    let same = field(headers, &header::IF_RANGE).is_none_or(|tag| tag == etag);
    let selection = match field(headers, &header::RANGE) {
        Some(range) if same && method == Method::GET => select(range, size),
        _ => Selection::All,
    };
    let (status, first, length) = match selection {
        Selection::All => (StatusCode::OK, 0, size),
        Selection::Part { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
        Selection::Unsatisfiable => {
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("{size} bytes"));
            return Ok((
                [(header::CONTENT_RANGE, format!("bytes */{size}"))],
                problem,
            )
                .into_response());
        }
    };
    let mut response = (status, common).into_response();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = value.try_into() {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, "application/octet-stream".to_owned());
    set(header::CONTENT_LENGTH, length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first.saturating_add(length).saturating_sub(1);
        set(
            header::CONTENT_RANGE,
            format!("bytes {first}-{last}/{size}"),
        );
    }
    if method == Method::GET {
        let failed = |source| Error::Io {
            step: "read",
            path: "a published file".into(),
            source,
        };
        let body = FileBody::new(file, first, length).await.map_err(failed)?;
        *response.body_mut() = Body::new(body);
    }
    Ok(response)
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a list of entity tags has this one, or is `*`.
fn names(tags: &str, etag: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
