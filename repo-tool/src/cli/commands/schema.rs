use clap::Args;
use repo_tool::schema::{document, documents};
use repo_tool::{Error, Result};

use crate::Context;
use crate::table::table;

/// Print the JSON Schema of a document, or list the documents that have one
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Which document; all of them are listed if none is named
    name: Option<String>,
}

impl SchemaArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let Some(name) = self.name else {
            let rows: Vec<Vec<String>> = documents()
                .map(|document| vec![document.name.to_owned(), document.found.to_owned()])
                .collect();
            let names: Vec<&str> = documents().map(|document| document.name).collect();
            context.output.answer(&names, || table(&rows));
            return Ok(());
        };
        let document = document(&name).ok_or(Error::Argument {
            what: "document",
            found: name,
            expected: "one of those that `repo-tool schema` lists",
        })?;
        let schema = document.schema();
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        let lines = || text.lines().map(str::to_owned).collect();
        context.output.answer(&schema, lines);
        Ok(())
    }
}
