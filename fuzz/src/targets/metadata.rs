//! Any bytes as a signed file of each role: no panic, and what is accepted reads back as the same.
use metadata_schema::envelope::Envelope;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Role, Root, Snapshot, Targets, Timestamp};

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(envelope) = Envelope::read(&RoleName::root(), bytes) else {
        return;
    };
    read_back::<Root>(&envelope);
    read_back::<Timestamp>(&envelope);
    read_back::<Snapshot>(&envelope);
    read_back::<Targets>(&envelope);
}

fn read_back<T: Role + PartialEq + std::fmt::Debug>(envelope: &Envelope) {
    if let Ok(role) = T::parse(envelope.signed.clone(), "signed") {
        let again = T::parse(role.to_json(), "signed").expect("what was written reads back");
        assert_eq!(again, role);
    }
}
