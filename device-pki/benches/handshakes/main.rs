//! What a full handshake with both certificates costs the server, as revocation lists grow: this crate, bare rustls with the same
//! keys, and nginx.
//!
//! ```text
//! cargo bench -p device-pki --bench handshakes
//! ```
//!
//! In memory, only the server's share is timed, and servers take turns so that a noisy machine is noisy for all. Over loopback each
//! server is a process of its own with one thread, of which all CPU is counted (/proc/PID/stat); nginx takes part if it is installed.
//! Lists are in force for the root and for the CA of devices; the CA's has 0, 10,000 or 100,000 entries.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a benchmark"
)]

mod loopback;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use device_pki::tls;
use rustls::pki_types::{CertificateRevocationListDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use world::{SIZES, World};

/// Handshakes of each server in one turn.
const TURN: usize = 50;
/// Turns.
const TURNS: usize = 15;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mark, size] = args.as_slice()
        && mark == "--serve"
    {
        return loopback::serve(&World::new(), size.parse().unwrap());
    }
    let world = World::new();
    in_memory(&world);
    loopback::compare(&world);
}

/// Bare rustls: the same keys and roots, its own verifier, with these lists.
fn bare(world: &World, lists: &[Vec<u8>]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(world.roots()), Arc::clone(&provider))
            .with_crls(
                lists
                    .iter()
                    .map(|der| CertificateRevocationListDer::from(der.clone())),
            )
            .build()
            .unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(world.server.chain_der(), world.server_key())
        .unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn in_memory(world: &World) {
    let client = Arc::new(world.client(None));
    let mut servers = vec![("bare rustls, no lists".to_owned(), bare(world, &[]))];
    for size in SIZES {
        let lists = world.lists(size);
        let ours = tls::api_server(&world.server, &world.trust(&lists)).unwrap();
        servers.push((format!("this, {size} entries"), ours));
        servers.push((
            format!("bare rustls, {size} entries"),
            bare(world, &lists.map(|list| list.der().to_vec())),
        ));
    }
    let servers: Vec<(String, Arc<ServerConfig>)> = servers
        .into_iter()
        .map(|(name, config)| (name, Arc::new(config)))
        .collect();
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..TURNS {
        for ((_, server), times) in servers.iter().zip(&mut times) {
            // The first of a turn warms caches up.
            handshake(server, &client);
            let turn: Duration = (0..TURN).map(|_| handshake(server, &client)).sum();
            times.push(turn.as_secs_f64() / TURN as f64);
        }
    }
    println!(
        "in memory, the server's share        us each   a second   of bare rustls without lists"
    );
    let mut baseline = 0.0;
    for ((name, _), times) in servers.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        if baseline == 0.0 {
            baseline = median;
        }
        println!(
            "{name:<34} {:>9.0} {:>10.0} {:>9.2}",
            median * 1e6,
            1.0 / median,
            baseline / median
        );
    }
}

/// One full handshake; returns the time that the server took.
fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Duration {
    let name = ServerName::try_from(world::NAME).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let began = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut spent = began.elapsed();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let began = Instant::now();
        let mut heard = wire.as_slice();
        while !heard.is_empty() {
            server.read_tls(&mut heard).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        spent += began.elapsed();
        let mut heard = answer.as_slice();
        while !heard.is_empty() {
            client.read_tls(&mut heard).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    spent
}
