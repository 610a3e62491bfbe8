//! Any bytes as a release manifest: no panic, and what is accepted reads back as the same.
use metadata_schema::name::RoleName;
use metadata_schema::release::ReleaseManifest;

/// See the module.
pub fn run(bytes: &[u8]) {
    let role = RoleName::targets();
    if let Ok(manifest) = ReleaseManifest::read(&role, bytes) {
        let again = ReleaseManifest::read(&role, &manifest.to_bytes());
        assert_eq!(again.expect("what was written reads back"), manifest);
    }
}
