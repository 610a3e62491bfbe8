//! Hashed bins: a product with very many files spreads them over delegated roles by the digest of their paths, so that one
//! more file changes one small role.
//!
//! The layout is that of PEP 458 and of TAP 15: with `2^b` bins, a path belongs to the bin whose number is the first `b`
//! bits of the SHA-256 digest of the path. The delegations are written out as `path_hash_prefixes` (TUF 1.0.34, section
//! 4.5), which every client reads; names are those that TAP 15 would make of the prefix `PRODUCT~`: `PRODUCT~` and the
//! number in hex, of as many digits as the last number has. No product's name has a `~`, so no bin is taken for one.
//!
//! ```
//! use metadata_schema::bins::{Bins, product_of};
//! use metadata_schema::name::{RoleName, TargetPath};
//! let bins = Bins::new(32).unwrap();
//! let product = RoleName::delegated("router-x")?;
//! assert_eq!(bins.role(&product, 31)?.as_str(), "router-x~1f");
//! assert_eq!(bins.prefixes(1), ["08", "09", "0a", "0b", "0c", "0d", "0e", "0f"]);
//! assert_eq!(product_of(&bins.role(&product, 1)?), Some(product));
//! let path = TargetPath::new("router-x/a")?;
//! assert!(bins.prefixes(bins.number_of(&path)).iter().any(|p| path.digest_hex().starts_with(p)));
//! # Ok::<(), metadata_schema::name::NameError>(())
//! ```

use crate::name::{NameError, RoleName, TargetPath};
use crate::roles::{DelegatedRole, Delegations, PathSet, RoleKeys};

/// What stands between the name of a product and the number of its bin.
const MARK: char = '~';
/// Most bins of one product, as a power of two.
const MAX_BITS: u32 = 10;

/// The bins of a product: how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bins {
    bits: u32,
}

impl Bins {
    /// So many bins; none unless it is a power of two from 2 to 1024.
    pub fn new(count: u32) -> Option<Self> {
        let bits = count.trailing_zeros();
        (count.is_power_of_two() && (1..=MAX_BITS).contains(&bits)).then_some(Self { bits })
    }

    /// The bins that the role `product` delegates to; none if it does not, or to others than the layout says.
    pub fn of(product: &RoleName, delegations: &Delegations) -> Option<Self> {
        let roles = || {
            let own = |role: &&DelegatedRole| product_of(&role.name).as_ref() == Some(product);
            delegations.roles.iter().filter(own)
        };
        let bins = Self::new(u32::try_from(roles().count()).ok()?)?;
        let as_laid_out = roles().zip(0..bins.count()).all(|(role, number)| {
            let prefixes = PathSet::HashPrefixes(bins.prefixes(number));
            bins.role(product, number).ok().as_ref() == Some(&role.name) && role.paths == prefixes
        });
        as_laid_out.then_some(bins)
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        1_u32.checked_shl(self.bits).unwrap_or(1)
    }

    /// The number of the bin to which a path belongs.
    pub fn number_of(self, path: &TargetPath) -> u32 {
        let digest = path.digest_hex();
        let head = digest
            .get(..8)
            .and_then(|head| u32::from_str_radix(head, 16).ok());
        head.unwrap_or(0)
            .checked_shr(32_u32.saturating_sub(self.bits))
            .unwrap_or(0)
    }

    /// The role of a bin.
    ///
    /// # Errors
    /// If the name of the product is too long for it.
    pub fn role(self, product: &RoleName, number: u32) -> Result<RoleName, NameError> {
        let digits = self.digits();
        RoleName::delegated(&format!("{product}{MARK}{number:0digits$x}"))
    }

    /// The beginnings of the hex digests of a bin's paths.
    pub fn prefixes(self, number: u32) -> Vec<String> {
        let digits = self.digits();
        let spare = u32::try_from(digits)
            .unwrap_or(1)
            .saturating_mul(4)
            .saturating_sub(self.bits);
        let each = 1_u32.checked_shl(spare).unwrap_or(1);
        let first = number.saturating_mul(each);
        (first..first.saturating_add(each))
            .map(|prefix| format!("{prefix:0digits$x}"))
            .collect()
    }

    /// The delegations to all bins, which the same keys sign.
    ///
    /// # Errors
    /// If the name of the product is too long for a bin's.
    pub fn delegations(
        self,
        product: &RoleName,
        keys: &RoleKeys,
    ) -> Result<Vec<DelegatedRole>, NameError> {
        (0..self.count())
            .map(|number| {
                Ok(DelegatedRole {
                    name: self.role(product, number)?,
                    keys: keys.clone(),
                    paths: PathSet::HashPrefixes(self.prefixes(number)),
                    terminating: true,
                })
            })
            .collect()
    }

    /// Hex digits of a number.
    fn digits(self) -> usize {
        usize::try_from(self.bits.div_ceil(4)).unwrap_or(1)
    }
}

/// The product whose bin a role is, by its name; none if it is no bin's name.
pub fn product_of(role: &RoleName) -> Option<RoleName> {
    let (product, number) = role.as_str().rsplit_once(MARK)?;
    let hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let is_number = (1..=3).contains(&number.len()) && number.bytes().all(hex);
    if is_number && !product.contains(MARK) {
        RoleName::delegated(product).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::key::KeyId;

    #[test]
    fn every_path_has_one_bin() {
        let product = RoleName::delegated("router-x").unwrap();
        let keys = RoleKeys::new([KeyId::claimed("a".to_owned())], NonZeroU32::MIN);
        for count in [2, 4, 8, 16, 32, 256, 512, 1024] {
            let bins = Bins::new(count).unwrap();
            let roles = bins.delegations(&product, &keys).unwrap();
            let mut delegations = Delegations {
                roles: roles.clone(),
                ..Delegations::default()
            };
            assert_eq!(Bins::of(&product, &delegations), Some(bins));
            for number in 0..200 {
                let path = TargetPath::new(&format!("router-x/{number}")).unwrap();
                let holds: Vec<_> = roles.iter().filter(|r| r.paths.contains(&path)).collect();
                let [only] = holds[..] else {
                    panic!("{number} of {count}: {} bins", holds.len())
                };
                assert_eq!(
                    only.name,
                    bins.role(&product, bins.number_of(&path)).unwrap()
                );
            }
            delegations.roles.swap(0, 1);
            assert_eq!(Bins::of(&product, &delegations), None, "{count}");
        }
        for bad in [0, 1, 3, 6, 2048, u32::MAX] {
            assert_eq!(Bins::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_names_of_bins_are_bins() {
        for (name, product) in [
            ("router-x~3f", Some("router-x")),
            ("router-x~0", Some("router-x")),
            ("router-x~3ff", Some("router-x")),
            ("router-x", None),
            ("router-x~", None),
            ("router-x~3F", None),
            ("router-x~+3", None),
            ("router-x~3fff", None),
            ("a~b~3f", None),
            ("root~3f", None),
            ("~3f", None),
        ] {
            let found = product_of(&RoleName::delegated(name).unwrap());
            assert_eq!(found.as_ref().map(RoleName::as_str), product, "{name}");
        }
    }
}
