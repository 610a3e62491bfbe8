//! The API server: hosts the repository and takes device reports, over mutual TLS.
//!
//! Every connection belongs to a device: [`credentials`] lets only devices of the own PKI in, [`connection`] finds out
//! which one it is, and the routes of [`routes`] take that name and no other. What is served is not secret and needs no
//! trust in this server: devices verify it themselves.
//!
//! ```no_run
//! # async fn example() -> Result<(), api_server::Error> {
//! use api_server::{Config, Server};
//! let config = Config::new("127.0.0.1:8443".parse().unwrap(), "pki", "repository", "data");
//! let server = Server::bind(config).await?;
//! println!("listening on {}", server.local_addr());
//! server.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod config;
pub mod connection;
pub mod credentials;
pub mod error;
pub mod files;
pub mod issuer;
pub mod problem;
pub mod range;
pub mod routes;
pub mod server;
mod sessions;
pub mod store;
pub mod token;

pub use config::{Config, Est, Limits};
pub use error::{Error, Result};
pub use server::{Reloader, Server};
pub use store::{Enrolments, SqliteStore, Store};
