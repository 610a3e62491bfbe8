use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use metadata_schema::bins::Bins;
use metadata_schema::release::Product;
use repo_tool::{ProductPlan, Result};

use super::signers;
use crate::Context;

/// Stage a product: its own role, with its own signers, for its own folder
#[derive(Args, Debug)]
pub(crate) struct AddProductArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Name of the product
    name: Product,

    /// A person who signs the product's releases; once for each
    #[arg(long = "signer", value_name = "PEM", required = true)]
    signers: Vec<PathBuf>,

    /// How many of them must sign
    #[arg(long)]
    threshold: NonZeroU32,

    /// Spread its files over so many bins, a power of two from 2 to 1024: for products with thousands of files
    #[arg(long, value_name = "N", value_parser = super::bins)]
    bins: Option<Bins>,
}

impl AddProductArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let signers = signers(&self.signers, self.threshold)?;
        repository.add_product(
            &ProductPlan {
                name: self.name,
                signers,
                bins: self.bins,
            },
            context.now,
        )?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
