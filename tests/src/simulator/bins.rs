//! Hashed bins: targets spread over delegated roles by the digest of their paths.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{PathSet, TargetFile};

use super::{Delegation, Document, Simulator, empty_targets};

impl Simulator {
    /// Delegates to so many bins, a power of two up to 65536, all signed by one key: `bin-0`, `bin-1` and so on in hex.
    pub fn delegate_bins(&mut self, delegator: &str, bins: u32) -> &mut Self {
        assert!(bins.is_power_of_two() && bins <= 0x1_0000, "{bins} bins");
        let digits = digits(bins);
        let each = (1_u32 << (4 * digits)) / bins;
        let key = self.key("bins");
        for bin in 0..bins {
            let prefixes = (bin * each..(bin + 1) * each).map(|n| prefix(n, digits));
            let delegation = Delegation {
                role: name(bin, bins),
                paths: PathSet::HashPrefixes(prefixes.collect()),
                terminating: true,
                keys: (0, 1),
            };
            let role = RoleName::delegated(&delegation.role).unwrap();
            let document = Document::new(empty_targets(&self.plan), vec![key.clone()]);
            self.targets.insert(role, document);
            self.delegate(delegator, &delegation);
        }
        self
    }

    /// The bin of a path.
    pub fn bin_of(&self, path: &str, bins: u32) -> String {
        let digits = digits(bins);
        let digest = Sha256Digest::of(path.as_bytes()).to_string();
        let number = if digits == 0 {
            0
        } else {
            u32::from_str_radix(&digest[..digits], 16).unwrap()
        };
        let each = (1_u32 << (4 * digits)) / bins;
        name(number / each, bins)
    }

    /// Describes a target in its bin, without putting its content on the server.
    pub fn describe_in_bin(&mut self, bins: u32, path: &str, file: TargetFile) -> &mut Self {
        let bin = self.bin_of(path, bins);
        self.targets(&bin)
            .edit()
            .targets
            .insert(path.to_owned(), file);
        self
    }
}

/// Hex digits that tell bins apart.
fn digits(bins: u32) -> usize {
    usize::try_from(bins.trailing_zeros().div_ceil(4)).unwrap()
}

fn prefix(number: u32, digits: usize) -> String {
    if digits == 0 {
        String::new()
    } else {
        format!("{number:0digits$x}")
    }
}

fn name(bin: u32, bins: u32) -> String {
    let digits = digits(bins).max(1);
    format!("bin-{bin:0digits$x}")
}
