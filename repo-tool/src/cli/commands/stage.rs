use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use repo_tool::Result;

use crate::Context;

/// Longest document.
const LIMIT: u64 = 64 << 20;

/// Stage documents that were edited by hand
///
/// Each file is the value of `signed` of root, targets or a product's role, or a whole signed file, such as one from
/// published/metadata. Version and dates are computed, whatever the file says; shape and lock-outs are checked before
/// anything is staged.
#[derive(Args, Debug)]
pub(crate) struct StageArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The documents, named by their role, such as targets.json or 3.router-x.json
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl StageArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let mut documents = Vec::new();
        for file in &self.files {
            let bytes = durable::read_bounded(file, LIMIT)?;
            documents.push((file.display().to_string(), bytes));
        }
        repository.stage_documents(&documents, context.now)?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
