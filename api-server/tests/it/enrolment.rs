//! Enrolment and renewal over real connections: what is issued, and what is refused.

use api_server::store::audit::Chain;
use api_server::store::enrolments::Enrolments as _;
use api_server::token;
use device_pki::{Certificate, Identity, cms, csr};

use crate::enrolling::{CR, Enrolling, key, with_request};
use crate::world::{Answer, start};

/// A request for a CA's certificate, in the names of another device and of the server: `openssl req -new -subj /CN=SN-2 -addext
/// basicConstraints=critical,CA:TRUE -addext subjectAltName=URI:urn:example:device:SN-2,DNS:api.corp.example`
const GREEDY: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIIBITCByQIBADAPMQ0wCwYDVQQDDARTTi0yMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE8ygGD3W/OGhxxuvw3updWv2ydTvN9SLbBnlVVBDx1Ir7knNgHto0449m
raUT8OWmJB3YWroaBo5UI9u3uAZInqBYMFYGCSqGSIb3DQEJDjFJMEcwDwYDVR0T
AQH/BAUwAwEB/zA0BgNVHREELTArhhd1cm46ZXhhbXBsZTpkZXZpY2U6U04tMoIQ
YXBpLmNvcnAuZXhhbXBsZTAKBggqhkjOPQQDAgNHADBEAiAdUgD1xDoL68DRCVEO
2nho4LsMFzkbH6uKVyNnXP72hwIgEJUyYnaWJwSAyZBxGebhafWrnfPDVK2SXdYk
Bx9aaw8=
-----END CERTIFICATE REQUEST-----
";

/// A request for an RSA key of 2048 bits.
const RSA: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP
ADCCAQoCggEBAKqykq1dnzS7uP3kfoowKZ6VKkAoBchyYNwx7cShzBsY4hGTod3o
TdmpZ//xPp51m7L/fn5YIc9yhBR4p/iY632oPdrNErBAdsgjxTcg+IAX5ph5/FBl
jhh8/aeyXmWSyhSqjGpBSqyyMmqRfnWkAqoZd/HMLFS9S7tVUF/7He18NIk4OAy6
a9JlMt04/nQMdrwB4cHuJ70UWgkqNDETd0Ezvm49Sc6riR5f2fk/op3s6WKtT4rY
dvd3GLoxWTTU7dWSJaEXrKwjShL0MPtL7Jf/ZaT5JUqL2UNx7oprSSJWBYqEkPgV
FUS5DHXlW2Ai42vhrwGCYAYc7hyEUvXe5QECAwEAAaAAMA0GCSqGSIb3DQEBCwUA
A4IBAQCkKKsrb8K8qPsl2HygRuyT4X9Mrwicj6v892W0q17qPa6yvkbgW7yo2YAP
XsUXNpD558Bi1yKiC+E/XL+6BqE6C5elkvUYzElwCWqvm4XLu9PTr+yWMme4fdNj
6JN2c1kHchAr7XN/kpvnT0p8PbAYkq/oXi1px8x2WWdOpnPdgadbDmNk3ddg/qWy
9+GKKSRwOhi4aY9KV27yBj7abnwLwv/V1oSfbza7tVcEurQ9UHG1MicskbngiBsE
4GHGYo53NPZTze9vuJElpROruKqX8tsUZeCBF6eknDuam49hCOxyymGLj3G39G3w
2yXEZf2Nq/EeOiXicOpEC4lOGktb
-----END CERTIFICATE REQUEST-----
";

fn certificate(answer: &Answer) -> Certificate {
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let kind = &answer.headers["content-type"];
    assert_eq!(kind, "application/pkcs7-mime; smime-type=certs-only");
    let bag = cms::from_base64("answer", &answer.body).unwrap();
    let certificates = cms::read_certs_only("answer", &bag).unwrap();
    assert_eq!(certificates.len(), 1);
    certificates[0].clone()
}

#[tokio::test]
async fn a_device_enrols_by_its_factory_identity_and_renews() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let (first, key_1) = world.enrol_by(&factory).await;
    let leaf = certificate(&first);
    assert_eq!(leaf.device().unwrap().as_str(), "urn:example:device:SN-1");
    assert_eq!(leaf.dns_names(), ["sn-1.dev.corp.example"]);
    assert_eq!(leaf.purposes(), ["serverAuth", "clientAuth"]);
    let working = world.identity(leaf.clone(), key_1);
    assert_eq!(world.world.get(&working, "/healthz").await.status, 200);

    let (second, key_2) = world.renew_by(&working).await;
    let renewed = certificate(&second);
    assert_ne!(renewed.serial(), leaf.serial());
    // The former certificate is good until the new one has been used.
    assert_eq!(world.world.get(&working, "/healthz").await.status, 200);
    let renewed = world.identity(renewed, key_2);
    assert_eq!(world.world.get(&renewed, "/healthz").await.status, 200);
    world
        .until(|store| store.issued("SN-1").unwrap()[0].revoked.is_some())
        .await;
    world.refused(&working).await;
    assert_eq!(world.world.get(&renewed, "/healthz").await.status, 200);
}

#[tokio::test]
async fn what_the_ca_is_and_wants_is_said_to_everybody() {
    let world = Enrolling::new("").await;
    let answer = world
        .nameless("GET /.well-known/est/cacerts", &[], b"")
        .await;
    assert_eq!(answer.headers["content-type"], "application/pkcs7-mime");
    let bag = cms::from_base64("answer", &answer.body).unwrap();
    let subjects = cms::read_certs_only("answer", &bag).unwrap();
    let mut subjects: Vec<_> = subjects
        .iter()
        .map(|c| c.common_name().to_owned())
        .collect();
    subjects.sort();
    assert_eq!(
        subjects,
        ["Example Corp Device-Issuing CA", "Example Corp Root CA"]
    );
    let answer = world
        .nameless("GET /.well-known/est/csrattrs", &[], b"")
        .await;
    assert_eq!(answer.headers["content-type"], "application/csrattrs");
    assert_eq!(cms::from_base64("answer", &answer.body).unwrap().len(), 35);
    let ski = world.ca().subject_key_id().unwrap();
    let list = world
        .nameless(&format!("GET /crl/{ski}.crl"), &[], b"")
        .await;
    assert_eq!(list.headers["content-type"], "application/pkix-crl");
    let list = device_pki::Crl::from_der("list", &list.body).unwrap();
    list.verify(&world.ca()).unwrap();
    for (line, status) in [
        ("GET /crl/00.crl", 404),
        ("GET /.well-known/est/serverkeygen", 404),
        ("GET /.well-known/est/simpleenroll", 405),
        ("GET /repository/metadata/timestamp.json", 404),
        ("POST /.well-known/est/simplereenroll", 403),
    ] {
        assert_eq!(
            world.nameless(line, &[], b"").await.status,
            status,
            "{line}"
        );
    }
}

#[tokio::test]
async fn only_the_public_key_is_taken_from_a_request() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let answer = world
        .post(&factory, "simpleenroll", GREEDY.as_bytes())
        .await;
    let leaf = certificate(&answer);
    assert!(!leaf.is_ca());
    assert_eq!(leaf.uris(), ["urn:example:device:SN-1"]);
    assert_eq!(leaf.dns_names(), ["sn-1.dev.corp.example"]);
    assert_eq!(leaf.common_name(), "SN-1");
}

#[tokio::test]
async fn requests_that_prove_nothing_are_refused() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let good = csr::request("x", &key()).unwrap();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    for (body, why) in [
        (cms::base64(&forged), "not signed by its own key"),
        (cms::base64(&good[..50]), "not a certification request"),
        ("#".to_owned(), "not base64"),
        (String::new(), "not base64"),
        (RSA.to_owned(), "a key for TLS"),
    ] {
        let answer = world.post(&factory, "simpleenroll", body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{why}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{detail}");
    }
    let long = vec![b'A'; 40_000];
    assert_eq!(
        world.post(&factory, "simpleenroll", &long).await.status,
        413
    );
    let line = "POST /.well-known/est/simpleenroll";
    let body = cms::base64(&good);
    let json = world.at_enrolment(
        Some(&factory),
        line,
        &["Content-Type: application/json"],
        body.as_bytes(),
    );
    assert_eq!(json.await.status, 415);
    assert!(world.store().issued("SN-1").unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_for_one_device_one_key_and_one_day() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    world.allow("SN-2");
    let text = token::new().unwrap();
    world
        .store()
        .token("SN-1", &token::hash(&text), "a test", start())
        .unwrap();
    let key_1 = key();
    // Of another device, wrong, and none.
    for (device, text) in [
        ("SN-2", text.as_str()),
        ("SN-1", "00"),
        ("no such", text.as_str()),
    ] {
        let answer = world.by_token(device, text, &key_1).await;
        assert_eq!(answer.status, 401, "{device}");
        assert!(answer.headers["www-authenticate"].starts_with("Basic "));
    }
    let (line, body) = with_request(&key_1);
    assert_eq!(world.nameless(&line, &[CR], &body).await.status, 401);

    let leaf = certificate(&world.by_token("SN-1", &text, &key_1).await);
    assert_eq!(leaf.device().unwrap().serial(), "SN-1");
    // Replayed by somebody with another key: refused. Asked again because the answer was lost: the same certificate.
    assert_eq!(world.by_token("SN-1", &text, &key()).await.status, 401);
    assert_eq!(
        certificate(&world.by_token("SN-1", &text, &key_1).await),
        leaf
    );

    let old = token::new().unwrap();
    let yesterday = start().plus_seconds(-86_401);
    world
        .store()
        .token("SN-2", &token::hash(&old), "a test", yesterday)
        .unwrap();
    assert_eq!(world.by_token("SN-2", &old, &key()).await.status, 401);
}

#[tokio::test]
async fn each_listener_takes_its_own_kind_of_identity() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let (answer, key_1) = world.enrol_by(&factory).await;
    let working = world.identity(certificate(&answer), key_1);
    // The factory's identity opens nothing but enrolment; the working one, the server's and an operator's do not enrol.
    world.refused(&factory).await;
    let server = world.folder().join("pki/servers/api");
    let server = Identity::load(&server.join("chain.pem"), &server.join("key.pem")).unwrap();
    let operator = world.operator("Olga");
    for (who, identity) in [
        ("working", &working),
        ("server", &server),
        ("operator", &operator),
    ] {
        assert!(world.enrolment_refuses(identity).await, "{who}");
    }
    world.refused(&server).await;
    world.refused(&operator).await;
    let (line, body) = with_request(&key());
    assert_eq!(
        world.world.ask(&working, &line, &[CR], &body).await.status,
        403
    );
}

#[tokio::test]
async fn only_listed_devices_enrol_and_revoked_ones_only_when_allowed_again() {
    let world = Enrolling::new("").await;
    let factory = world.factory("SN-1");
    assert_eq!(world.enrol_by(&factory).await.0.status, 403);
    world.allow("SN-1");
    let (answer, key_1) = world.enrol_by(&factory).await;
    let working = world.identity(certificate(&answer), key_1);
    assert_eq!(world.world.get(&working, "/healthz").await.status, 200);

    world.store().revoke("SN-1", "a test", start()).unwrap();
    world.refused(&working).await;
    assert_eq!(world.enrol_by(&factory).await.0.status, 403);
    world.allow("SN-1");
    let (answer, key_2) = world.enrol_by(&factory).await;
    let again = world.identity(certificate(&answer), key_2);
    assert_eq!(world.world.get(&again, "/healthz").await.status, 200);
    world.refused(&working).await;
    // Upper and lower case make no second device of one.
    let error = world
        .store()
        .allow(&["sn-1".to_owned()], "a test", start())
        .unwrap_err();
    assert!(error.to_string().contains("only by case"), "{error}");
}

#[tokio::test]
async fn a_renewal_is_with_a_new_key() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    world.allow("SN-2");
    let (answer, key_1) = world.enrol_by(&world.factory("SN-1")).await;
    let request = cms::base64(&csr::request("x", &key_1).unwrap());
    let working = world.identity(certificate(&answer), key_1);
    let answer = world.renew_with(&working, request.as_bytes()).await;
    assert_eq!(answer.status, 400);
    // Nor does another device get the key certified.
    let other = world
        .post(&world.factory("SN-2"), "simpleenroll", request.as_bytes())
        .await;
    assert_eq!(other.status, 400);
    // A device that asks without end is told to wait.
    for _ in 0..9 {
        assert_eq!(world.renew_by(&working).await.0.status, 200);
    }
    let answer = world.renew_by(&working).await.0;
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (429, "3600")
    );
}

/// `device-pki issue-device` may have made the first one; whoever has the CA's key may make more.
#[tokio::test]
async fn a_certificate_from_elsewhere_renews_until_there_is_one_from_here() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let by_hand = || world.device("SN-1");
    assert_eq!(world.renew_by(&by_hand()).await.0.status, 200);
    let answer = world.renew_by(&by_hand()).await.0;
    assert_eq!(answer.status, 403);
    let said = answer.json()["detail"].to_string();
    assert!(said.contains("not in force any more"), "{said}");
    assert_eq!(world.store().issued("SN-1").unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_approves_where_the_configuration_says_so() {
    let world = Enrolling::new("manual").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let key_1 = key();
    let request = cms::base64(&csr::request("x", &key_1).unwrap());
    for _ in 0..2 {
        let answer = world
            .post(&factory, "simpleenroll", request.as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.headers["retry-after"].as_str()),
            (202, "300")
        );
        assert!(answer.body.is_empty());
    }
    assert!(world.store().listed().unwrap()[0].waiting);
    assert!(world.store().approve("SN-1", "a test", start()).unwrap());
    // Of this key, and of no other that comes meanwhile.
    let (other, _) = world.enrol_by(&factory).await;
    assert_eq!(other.status, 202);
    assert!(world.store().approve("SN-1", "a test", start()).unwrap());
    assert_eq!(
        world
            .post(&factory, "simpleenroll", request.as_bytes())
            .await
            .status,
        202
    );
    assert!(world.store().approve("SN-1", "a test", start()).unwrap());
    let answer = world
        .post(&factory, "simpleenroll", request.as_bytes())
        .await;
    let leaf = certificate(&answer);
    // Renewals need nobody.
    let working = world.identity(leaf, key_1);
    assert_eq!(world.renew_by(&working).await.0.status, 200);
}

#[tokio::test]
async fn a_disabled_ca_issues_nothing_and_what_it_issued_stays_good() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    let (answer, key_1) = world.enrol_by(&factory).await;
    let working = world.identity(certificate(&answer), key_1);
    assert!(world.store().enable(false, "a test", start()).unwrap());
    assert_eq!(world.enrol_by(&factory).await.0.status, 503);
    assert_eq!(world.renew_by(&working).await.0.status, 503);
    assert_eq!(world.world.get(&working, "/healthz").await.status, 200);
    assert!(world.store().enable(true, "a test", start()).unwrap());
    assert_eq!(world.renew_by(&working).await.0.status, 200);
}

#[tokio::test]
async fn a_database_that_goes_away_in_the_middle_issues_nothing() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    // The audit log cannot be written: neither can anything else be.
    world.sql("CREATE TRIGGER gone BEFORE INSERT ON audit BEGIN SELECT RAISE (ABORT, 'disk is gone'); END");
    let (answer, _) = world.enrol_by(&factory).await;
    assert_eq!(answer.status, 500);
    assert!(
        !String::from_utf8_lossy(&answer.body).contains("disk"),
        "inner matters stay inside"
    );
    assert!(world.store().issued("SN-1").unwrap().is_empty());
    world.sql("DROP TRIGGER gone");
    assert_eq!(world.enrol_by(&factory).await.0.status, 200);
    assert_eq!(world.store().issued("SN-1").unwrap().len(), 1);
}

#[tokio::test]
async fn the_audit_log_has_every_certificate_and_shows_changes() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let (answer, _) = world.enrol_by(&world.factory("SN-1")).await;
    let serial = certificate(&answer).serial().to_string();
    let read = || {
        let (mut chain, mut events, mut whole) = (Chain::default(), Vec::new(), true);
        world
            .store()
            .audit(&mut |entry| {
                whole &= chain.follows(&entry);
                events.push((entry.event, entry.detail));
                Ok(())
            })
            .unwrap();
        (events, whole)
    };
    let (events, whole) = read();
    assert!(whole);
    assert_eq!(events[0].0, "allowed");
    assert!(
        events[1].0 == "issued" && events[1].1.contains(&serial),
        "{events:?}"
    );
    assert!(world.try_sql("UPDATE audit SET device = 'x'").is_err());
    assert!(world.try_sql("DELETE FROM audit").is_err());
    world.sql("DROP TRIGGER audit_is_not_changed; UPDATE audit SET device = 'x' WHERE seq = 1");
    assert!(!read().1);
}

#[tokio::test]
async fn what_device_pki_revokes_is_on_the_list_of_the_server() {
    let world = Enrolling::new("").await;
    let by_hand = world.world.device("SN-9");
    assert_eq!(world.world.get(&by_hand, "/healthz").await.status, 200);
    crate::world::ceremony(|c| world.world.pki.revoke("SN-9", c)).unwrap();
    world.refused(&by_hand).await;
    // And stays there when a device that enrolled is revoked as well.
    world.allow("SN-1");
    let (answer, key_1) = world.enrol_by(&world.factory("SN-1")).await;
    let working = world.identity(certificate(&answer), key_1);
    assert_eq!(world.world.get(&working, "/healthz").await.status, 200);
    world.store().revoke("SN-1", "a test", start()).unwrap();
    world.refused(&working).await;
    world.refused(&by_hand).await;
}

#[tokio::test]
async fn a_revoked_factory_identity_does_not_enrol() {
    let world = Enrolling::new("").await;
    world.allow("SN-1");
    let factory = world.factory("SN-1");
    crate::world::ceremony(|c| world.world.pki.revoke("SN-1", c)).unwrap();
    world.world.reloader.reload();
    for _ in 0..200 {
        if world.enrolment_refuses(&factory).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a revoked factory identity still enrols");
}

#[tokio::test]
async fn a_factory_identity_outlives_its_ca() {
    let late = start().plus_seconds(12 * 365 * 86_400);
    let world = Enrolling::at("", start(), late).await;
    world.allow("SN-1");
    let factory = world.factory_made_at("SN-1", start());
    let (answer, key_1) = world.enrol_by(&factory).await;
    assert!(certificate(&answer).not_after() > late);
    drop(key_1);
}
