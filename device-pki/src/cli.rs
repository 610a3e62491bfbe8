//! The command line: one file per subcommand.

mod crl;
mod doctor;
mod init;
mod inspect;
mod issue_device;
mod issue_operator;
mod issue_server;
mod issue_signer;
mod keys;
mod provision;
mod renew_ca;
mod revoke;
mod tokens;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use device_pki::folder::{Issued, PkiFolder};
use device_pki::{Error, Result, list_files};

/// Make certificates for the people who sign firmware, for API servers and for devices
///
/// A PKI is a folder: `device-pki init` makes one, the other commands work on it. Exit codes: 0 done, 2 usage, 6 a file
/// could not be read or written, 8 a name, key, certificate or passphrase is not as it should be, 1 anything else.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    IssueSigner(issue_signer::IssueSignerArgs),
    IssueServer(issue_server::IssueServerArgs),
    IssueDevice(issue_device::IssueDeviceArgs),
    IssueOperator(issue_operator::IssueOperatorArgs),
    Provision(provision::ProvisionArgs),
    Revoke(revoke::RevokeArgs),
    Crl(crl::CrlArgs),
    RenewCa(renew_ca::RenewCaArgs),
    Doctor(doctor::DoctorArgs),
    Inspect(inspect::InspectArgs),
}

impl Cli {
    pub(crate) fn run(self, out: &mut dyn Write) -> Result<()> {
        match self.command {
            Command::Init(args) => args.run(out),
            Command::IssueSigner(args) => args.run(out),
            Command::IssueServer(args) => args.run(out),
            Command::IssueDevice(args) => args.run(out),
            Command::IssueOperator(args) => args.run(out),
            Command::Provision(args) => args.run(out),
            Command::Revoke(args) => args.run(out),
            Command::Crl(args) => args.run(out),
            Command::RenewCa(args) => args.run(out),
            Command::Doctor(args) => args.run(out),
            Command::Inspect(args) => args.run(out),
        }
    }
}

fn say(out: &mut dyn Write, line: &str) -> Result<()> {
    writeln!(out, "{line}").map_err(|source| Error::Io {
        step: "write to",
        path: Path::new("standard output").to_owned(),
        source,
    })
}

/// Takes over lists that were issued elsewhere, before newer ones are made.
fn take_over(pki: &PkiFolder, from: &[PathBuf], out: &mut dyn Write) -> Result<()> {
    let mut new = 0_usize;
    for list in list_files::load(&list_files::find(from)?)? {
        new = new.saturating_add(pki.take_over(&[list])?);
    }
    if from.is_empty() {
        return Ok(());
    }
    say(out, &format!("{new} revocations taken over"))
}

fn say_issued(out: &mut dyn Write, issued: &Issued) -> Result<()> {
    if let Some(leaf) = issued.chain.first() {
        let (subject, serial) = (leaf.subject(), leaf.serial());
        say(out, &format!("Issued {subject}"))?;
        say(out, &format!("  serial      {serial}"))?;
        say(out, &format!("  valid until {}", leaf.not_after()))?;
    }
    say(
        out,
        &format!("  chain       {}", issued.chain_path.display()),
    )?;
    match &issued.key_path {
        Some(path) => say(out, &format!("  key         {}", path.display())),
        None => say(out, "  key         stays with its holder"),
    }
}
