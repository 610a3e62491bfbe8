//! The commands of `repo-tool`, one file each: arguments, and a thin function that calls the library.

mod add_crl;
mod add_files;
mod add_product;
mod add_release;
mod audit;
mod bundle;
mod channel;
mod diff;
mod doctor;
mod export_to_sign;
mod forecast;
mod history;
mod import;
mod import_signature;
mod init;
mod keygen;
mod keys;
mod merge;
mod payload;
mod payload_diff;
mod payload_table;
mod plan_loss;
mod promote;
mod prune;
mod publish;
mod push;
mod refresh;
mod releases;
mod remove_product;
mod renew;
mod rollout;
mod rotate_online;
mod schema;
mod show;
mod sign;
mod signers;
mod stage;
mod status;
mod tree;
mod unstage;
mod verify;
mod withdraw;

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Subcommand;
use metadata_schema::bins::Bins;
use metadata_schema::json::{Json, Object};
use metadata_schema::name::RoleName;
use repo_tool::{Error, Keyholder, Minimums, Result, Signers};

use crate::Context;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Keygen(keygen::KeygenArgs),
    Keys(keys::KeysArgs),
    Init(init::InitArgs),
    Import(import::ImportArgs),
    AddProduct(add_product::AddProductArgs),
    AddRelease(add_release::AddReleaseArgs),
    AddFiles(add_files::AddFilesArgs),
    Forecast(forecast::ForecastArgs),
    Promote(promote::PromoteArgs),
    Rollout(rollout::RolloutArgs),
    Pause(rollout::PauseArgs),
    Resume(rollout::ResumeArgs),
    Withdraw(withdraw::WithdrawArgs),
    Yank(withdraw::YankArgs),
    AddCrl(add_crl::AddCrlArgs),
    RemoveProduct(remove_product::RemoveProductArgs),
    Signers(signers::SignersArgs),
    RotateOnline(rotate_online::RotateOnlineArgs),
    PlanLoss(plan_loss::PlanLossArgs),
    Renew(renew::RenewArgs),
    Stage(stage::StageArgs),
    Show(show::ShowArgs),
    Sign(sign::SignArgs),
    Merge(merge::MergeArgs),
    ExportToSign(export_to_sign::ExportToSignArgs),
    ImportSignature(import_signature::ImportSignatureArgs),
    Status(status::StatusArgs),
    Unstage(unstage::UnstageArgs),
    Publish(publish::PublishArgs),
    Push(push::PushArgs),
    Refresh(refresh::RefreshArgs),
    Bundle(bundle::BundleArgs),
    Releases(releases::ReleasesArgs),
    Tree(tree::TreeArgs),
    History(history::HistoryArgs),
    Diff(diff::DiffArgs),
    Prune(prune::PruneArgs),
    Doctor(doctor::DoctorArgs),
    Verify(verify::VerifyArgs),
    Audit(audit::AuditArgs),
    Schema(schema::SchemaArgs),
    Payload(payload::PayloadArgs),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Keygen(args) => args.run(context),
            Self::Keys(args) => args.run(context),
            Self::Init(args) => args.run(context),
            Self::Import(args) => args.run(context),
            Self::AddProduct(args) => args.run(context),
            Self::AddRelease(args) => args.run(context),
            Self::AddFiles(args) => args.run(context),
            Self::Forecast(args) => args.run(context),
            Self::Promote(args) => args.run(context),
            Self::Rollout(args) => args.run(context),
            Self::Pause(args) => args.run(context),
            Self::Resume(args) => args.run(context),
            Self::Withdraw(args) => args.run(context),
            Self::Yank(args) => args.run(context),
            Self::AddCrl(args) => args.run(context),
            Self::RemoveProduct(args) => args.run(context),
            Self::Signers(args) => args.run(context),
            Self::RotateOnline(args) => args.run(context),
            Self::PlanLoss(args) => args.run(context),
            Self::Renew(args) => args.run(context),
            Self::Stage(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Sign(args) => args.run(context),
            Self::Merge(args) => args.run(context),
            Self::ExportToSign(args) => args.run(context),
            Self::ImportSignature(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::Unstage(args) => args.run(context),
            Self::Publish(args) => args.run(context),
            Self::Push(args) => args.run(context),
            Self::Refresh(args) => args.run(context),
            Self::Bundle(args) => args.run(context),
            Self::Releases(args) => args.run(context),
            Self::Tree(args) => args.run(context),
            Self::History(args) => args.run(context),
            Self::Diff(args) => args.run(context),
            Self::Prune(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Audit(args) => args.run(context),
            Self::Schema(args) => args.run(context),
            Self::Payload(args) => args.run(context),
        }
    }
}

/// A role by the name that it has in metadata.
fn role(name: &str) -> Result<RoleName> {
    Ok(match name {
        "root" => RoleName::root(),
        "targets" => RoleName::targets(),
        name => RoleName::delegated(name)?,
    })
}

/// Reads the certificate chains of people.
fn people(files: &[PathBuf]) -> Result<Vec<Keyholder>> {
    files.iter().map(|path| Keyholder::read(path)).collect()
}

/// Reads the certificate chains of people, of whom so many must sign.
fn signers(files: &[PathBuf], threshold: NonZeroU32) -> Result<Signers> {
    Ok(Signers {
        people: people(files)?,
        threshold,
    })
}

/// Reads `ROOT,TARGETS,DELEGATED`.
fn minimums(text: &str) -> Result<Minimums, String> {
    let numbers: Vec<u32> = text
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect();
    match (numbers.as_slice(), text.split(',').count()) {
        ([root, targets, delegated], 3) => Ok(Minimums {
            root: *root,
            targets: *targets,
            delegated: *delegated,
        }),
        _ => Err("expected three numbers, such as 2,2,2".to_owned()),
    }
}

/// Reads the number of bins of a product.
fn bins(text: &str) -> Result<Bins, String> {
    let bins = text.parse().ok().and_then(Bins::new);
    bins.ok_or_else(|| "expected a power of two from 2 to 1024".to_owned())
}

/// Reads custom fields: NAME=VALUE, where VALUE is JSON, or text if it is not.
fn custom(fields: &[String]) -> Result<Object> {
    let mut custom = Object::new();
    for field in fields {
        let (name, value) = field.split_once('=').ok_or_else(|| Error::Argument {
            what: "custom field",
            found: field.clone(),
            expected: "NAME=TEXT or NAME=JSON, such as ticket=FW-12 or sizes=[1,2]",
        })?;
        let value = Json::read(value.as_bytes()).unwrap_or_else(|_| Json::String(value.to_owned()));
        custom.insert(name.to_owned(), value);
    }
    Ok(custom)
}
