//! What the timestamp role says of a file that is carried to devices without a network: a bundle.

use super::{Common, MetaFile, Role};
use crate::json::{Fields, Json, Object};
use crate::release::{Channel, Product};

/// The name of the file beside the metadata that it speaks of.
pub const BUNDLE_FILE: &str = "bundle.json";

/// `bundle.json`: for how long a state of the repository that is carried in a file may be installed from it.
///
/// Signed by the keys of the timestamp role. Its `_type` tells it from a timestamp, so neither can be served as the other. Its
/// version is always 1: there is no row of versions, each statement stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What every role has.
    pub common: Common,
    /// `timestamp.json`: the state that it speaks of.
    pub timestamp: MetaFile,
    /// The product line that it was made for.
    pub product: Product,
    /// The channel that it was made for.
    pub channel: Channel,
    /// Members that we do not know.
    pub extra: Object,
}

impl Role for Bundle {
    const TYPE: &'static str = "x-bundle";

    fn parse(signed: Json, at: &str) -> Result<Self, crate::json::ShapeError> {
        let mut fields = Fields::of(signed, at)?;
        let common = Common::take(&mut fields, Self::TYPE)?;
        let mut meta = fields.object("meta")?;
        Ok(Self {
            common,
            timestamp: meta.take("timestamp.json", MetaFile::from_json)?,
            product: fields.take("product", Product::from_json)?,
            channel: fields.take("channel", Channel::from_json)?,
            extra: fields.rest(),
        })
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn to_json(&self) -> Json {
        let mut members = self.common.write(Self::TYPE, &self.extra);
        let meta = Json::object([("timestamp.json", self.timestamp.to_json())]);
        members.insert("meta".to_owned(), meta);
        members.insert("product".to_owned(), self.product.clone().into());
        members.insert("channel".to_owned(), self.channel.clone().into());
        Json::Object(members)
    }
}
