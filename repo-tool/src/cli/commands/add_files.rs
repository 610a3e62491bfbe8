use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use metadata_schema::json::Object;
use metadata_schema::name::TargetPath;
use metadata_schema::release::Product;
use repo_tool::{Error, FileSource, Result};

use super::custom;
use crate::Context;
use crate::bar::Bar;
use crate::output::bytes;

/// Stage plain files of a product, as many as there are in a folder
///
/// They are digested on all cores and stand as PRODUCT/NAME, or PRODUCT/FOLDER/NAME for those in a folder of the folder. A
/// product with thousands of them wants bins: see `add-product --bins`.
#[derive(Args, Debug)]
pub(crate) struct AddFilesArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The product
    #[arg(long)]
    product: Product,

    /// Files, and folders whose files are meant
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// What is said of each of them for applications, as NAME=TEXT or NAME=JSON; once for each
    #[arg(long, value_name = "NAME=VALUE")]
    custom: Vec<String>,
}

impl AddFilesArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let custom: Object = custom(&self.custom)?;
        let mut files = Vec::new();
        for path in &self.files {
            if path.is_dir() {
                list(path, &self.product, "", &mut files)?;
            } else {
                files.push(source(path, &self.product, "")?);
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let repository = context.open(&self.folder)?;
        let bar = Bar::new(context.output.json);
        let added = repository.add_files(&self.product, &files, &custom, context.now, &|now| {
            bar.show(now);
        });
        bar.finish();
        let added = added?;
        context.output.answer(&added, || {
            vec![format!(
                "{}: {} files new or changed, {} as they were, {} in all",
                self.product,
                added.changed,
                added.unchanged,
                bytes(added.bytes)
            )]
        });
        let next = "Staged. Next: `repo-tool show`, `sign` by each signer, `publish`.";
        context.output.say(next);
        Ok(())
    }
}

/// The files of a folder and of the folders in it. Links are passed over.
fn list(folder: &Path, product: &Product, below: &str, files: &mut Vec<FileSource>) -> Result<()> {
    let failed = |source| Error::Io {
        step: "list",
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            list(&entry.path(), product, &format!("{below}{name}/"), files)?;
        } else if kind.is_file() {
            files.push(source(&entry.path(), product, below)?);
        }
    }
    Ok(())
}

fn source(path: &Path, product: &Product, below: &str) -> Result<FileSource> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    Ok(FileSource {
        path: TargetPath::new(&format!("{product}/{below}{name}"))?,
        from: path.to_owned(),
    })
}
