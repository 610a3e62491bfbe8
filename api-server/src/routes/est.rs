//! Enrolment over Secure Transport (RFC 7030) under `/.well-known/est`.
//!
//! Of a request only the public key is taken; who it is for was proved by the certificate of the connection or by a token. What
//! the request says of names, extensions or attributes is not read. The answer has the certificate alone (section 4.2.3); the
//! CA's is among those of `cacerts`.

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use device_pki::{Certificate, DeviceIdentity, SubjectKey, cms};

use super::App;
use crate::issuer::Issuer;
use crate::problem::Problem;
use crate::store::enrolments::{Ask, Proof, Refusal, Verdict};
use crate::token;

/// Largest request: a PKCS#10 in base64.
const MAX_BODY: usize = 32 * 1024;
/// Seconds after which to ask again when a person has to approve.
const ASK_AGAIN: &str = "300";
/// CsrAttrs (RFC 7030, section 4.5.2): a key on P-256, and ECDSA with SHA-256.
const ATTRIBUTES: [u8; 35] = [
    0x30, 0x21, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x31, 0x0a, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x04, 0x03, 0x02,
];

/// Who is at the other end of a connection to where devices enrol: a device by its identity from the factory, or nobody yet.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer(pub(crate) Option<DeviceIdentity>);

/// `GET cacerts`
pub(super) async fn cacerts(State(app): State<App>) -> Result<Response, Problem> {
    let issuer = issuer(&app)?;
    Ok(bag(&issuer.certificates(), "application/pkcs7-mime"))
}

/// `GET csrattrs`
pub(super) async fn csrattrs(State(app): State<App>) -> Result<Response, Problem> {
    issuer(&app)?;
    Ok(base64("application/csrattrs", &ATTRIBUTES))
}

/// `POST simpleenroll`, where devices enrol: by the identity from the factory, or by a token (section 3.2.3).
pub(super) async fn enrol(
    State(app): State<App>,
    Extension(Newcomer(device)): Extension<Newcomer>,
    request: Request,
) -> Result<Response, Response> {
    let (device, proof) = match device {
        Some(device) => (device.serial().to_owned(), Proof::Factory),
        None => match token::of_request(request.headers()) {
            Some((device, hash)) => (device, Proof::Token(hash)),
            None => return Err(unproved("show a factory identity, or a token")),
        },
    };
    issue(&app, device, proof, request).await
}

/// `POST simplereenroll`, where devices with certificates are: for the device of the connection.
pub(super) async fn renew(
    State(app): State<App>,
    Extension(device): Extension<DeviceIdentity>,
    request: Request,
) -> Result<Response, Response> {
    let proof = Proof::Current(device.certificate_serial().clone());
    issue(&app, device.serial().to_owned(), proof, request).await
}

/// What belongs to the other listener.
pub(super) async fn elsewhere() -> Problem {
    let detail = "first enrolment is where identities from the factory are taken, renewal where a device's certificate is";
    Problem::new(StatusCode::FORBIDDEN, detail)
}

async fn issue(
    app: &App,
    device: String,
    proof: Proof,
    request: Request,
) -> Result<Response, Response> {
    let refuse = |problem: Problem| problem.into_response();
    let issuer = issuer(app).map_err(refuse)?;
    if !is_pkcs10(request.headers()) {
        let detail = "a request is of the type application/pkcs10";
        return Err(refuse(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail,
        )));
    }
    let body = tokio::time::timeout(app.limits.body, to_bytes(request.into_body(), MAX_BODY))
        .await
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body takes too long"))
        .map_err(refuse)?
        .map_err(|_| {
            let detail = format!("a request has at most {MAX_BODY} bytes");
            refuse(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        })?;
    let bad = |e: device_pki::Error| refuse(Problem::new(StatusCode::BAD_REQUEST, e.to_string()));
    let key = SubjectKey::from_request_base64("the request", &body).map_err(bad)?;
    if !key.in_tls() {
        let detail = format!("a device has a key for TLS, found {}", key.algorithm());
        return Err(refuse(Problem::new(StatusCode::BAD_REQUEST, detail)));
    }
    // A name that no device can have gets the same answer as one that none has.
    if issuer.urn(&device).is_err() {
        return Err(unproved("the token is not good for this device"));
    }
    let ask = Ask {
        device,
        proof,
        key: key.der(),
        now: app.clock.now(),
        manual: app.manual,
    };
    let said = (ask.device.clone(), ask.proof.name());
    let verdict = app
        .blocking("enrol a device", move |store| {
            let sign = || issuer.issue(&ask.device, &key, ask.now);
            store.enrol(&ask, &sign)
        })
        .await
        .map_err(|error| refuse(error.into()))?;
    let (device, proof) = said;
    match verdict {
        Verdict::Issued(certificate) => {
            let serial = certificate.serial();
            tracing::info!(device, proof, certificate = %serial, "certificate issued");
            Ok(bag(
                &[&certificate],
                "application/pkcs7-mime; smime-type=certs-only",
            ))
        }
        Verdict::Waiting => {
            tracing::info!(device, proof, "enrolment waits for approval");
            Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, ASK_AGAIN)]).into_response())
        }
        Verdict::Refused(refusal) => {
            tracing::warn!(
                device,
                proof,
                reason = refusal.in_words(),
                "enrolment refused"
            );
            Err(refused(refusal))
        }
    }
}

fn refused(refusal: Refusal) -> Response {
    let detail = refusal.in_words();
    let after = |status| {
        let problem = Problem::new(status, detail);
        ([(header::RETRY_AFTER, "3600")], problem).into_response()
    };
    match refusal {
        Refusal::Token => unproved(detail),
        Refusal::TooMany => after(StatusCode::TOO_MANY_REQUESTS),
        Refusal::Disabled => after(StatusCode::SERVICE_UNAVAILABLE),
        Refusal::UsedKey => Problem::new(StatusCode::BAD_REQUEST, detail).into_response(),
        Refusal::NotListed | Refusal::Blocked | Refusal::NotCurrent => {
            Problem::new(StatusCode::FORBIDDEN, detail).into_response()
        }
    }
}

/// 401, as RFC 9110, section 11.6.1, has it.
fn unproved(detail: &str) -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
    let scheme = "Basic realm=\"enrolment: serial number and token\"";
    ([(header::WWW_AUTHENTICATE, scheme)], problem).into_response()
}

fn is_pkcs10(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/pkcs10")
}

fn issuer(app: &App) -> Result<std::sync::Arc<Issuer>, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "this server certifies nobody");
    app.issuer.clone().ok_or_else(none)
}

fn bag(certificates: &[&Certificate], kind: &'static str) -> Response {
    base64(kind, &cms::certs_only(certificates))
}

fn base64(kind: &'static str, bytes: &[u8]) -> Response {
    let encoding = header::HeaderName::from_static("content-transfer-encoding");
    let headers = [(header::CONTENT_TYPE, kind), (encoding, "base64")];
    (headers, cms::base64(bytes)).into_response()
}

/// `GET /crl/<key id>.crl`: the newest list of a CA (RFC 5280, section 4.2.1.13; RFC 2585, section 4.2).
pub(super) async fn crl(
    State(app): State<App>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> Result<Response, Problem> {
    let in_force = app.credentials.current();
    let lists = in_force.trust.revocations.lists();
    // The highest number stands first.
    let list = name
        .strip_suffix(".crl")
        .and_then(|ski| lists.iter().find(|list| list.issuer_ski() == ski));
    let list = list.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such list"))?;
    let kind = [(header::CONTENT_TYPE, "application/pkix-crl")];
    Ok((kind, list.der().to_vec()).into_response())
}
