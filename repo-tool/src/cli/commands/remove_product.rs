use std::path::PathBuf;

use clap::Args;
use metadata_schema::release::Product;
use repo_tool::Result;

use crate::Context;

/// Stage the end of a product: its devices are offered nothing any more
#[derive(Args, Debug)]
pub(crate) struct RemoveProductArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Name of the product
    name: Product,
}

impl RemoveProductArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        repository.remove_product(&self.name, context.now)?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
