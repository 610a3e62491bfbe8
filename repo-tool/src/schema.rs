//! JSON Schemas (draft 2020-12) of the documents that this program writes: for editors, for other programs, and for whoever
//! writes another implementation. `docs/schema/` has them; a test compares.
//!
//! They describe what is *written*. Readers take more: unknown members are kept everywhere in metadata.

mod answers;
mod keepers;
mod manifest;
mod roles;
pub(crate) mod words;

pub use answers::PublishAnswer;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

/// A kind of document.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// Its name: the schema stands in `docs/schema/NAME.schema.json`.
    pub name: &'static str,
    /// Where such documents are found.
    pub found: &'static str,
    schema: fn() -> Schema,
}

impl Document {
    const fn new<T: JsonSchema>(name: &'static str, found: &'static str) -> Self {
        Self {
            name,
            found,
            schema: schema::<T>,
        }
    }

    /// The schema, as JSON.
    pub fn schema(&self) -> serde_json::Value {
        (self.schema)().to_value()
    }
}

fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}

/// Every document that has a schema: what is published, what keepers share, and the answers of commands with `--json`.
pub fn documents() -> impl Iterator<Item = &'static Document> {
    PUBLISHED
        .iter()
        .chain(keepers::DOCUMENTS)
        .chain(answers::DOCUMENTS)
}

/// The document of this name.
pub fn document(name: &str) -> Option<&'static Document> {
    documents().find(|document| document.name == name)
}

const PUBLISHED: &[Document] = &[
    Document::new::<roles::File<roles::Root>>("root", "published/metadata/N.root.json"),
    Document::new::<roles::File<roles::Targets>>("targets", "published/metadata/N.ROLE.json"),
    Document::new::<roles::File<roles::Snapshot>>("snapshot", "published/metadata/N.snapshot.json"),
    Document::new::<roles::File<roles::Timestamp>>(
        "timestamp",
        "published/metadata/timestamp.json",
    ),
    Document::new::<roles::File<roles::Bundle>>("bundle", "metadata/bundle.json in a bundle"),
    Document::new::<manifest::ReleaseManifest>(
        "release",
        "published/targets/PRODUCT/DIGEST.CHANNEL.release.json",
    ),
];
