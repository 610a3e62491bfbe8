//! What a configuration may say of boot loaders.

use std::collections::BTreeMap;

use device_pki::disk::Disk;
use updater::boot::open;
use updater::config::{BootBackend, BootConfig, BootSlots};
use updater::slot::SlotGroup;

fn refused(config: &BootConfig) -> String {
    let slots = SlotGroup::new(BTreeMap::new());
    match open(config, &slots, &Disk::default()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_a_back_end_does_not_have_is_refused_with_what_it_has() {
    let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.into())]);
    let slots = |a: &str, b: &str| {
        let (a, b) = (a.to_owned(), b.to_owned());
        Some(BootSlots { a, b })
    };
    let usual = BootConfig::new(BootBackend::UBoot);
    assert_eq!(refused(&usual), "");
    let names = BTreeMap::from([("odrer".to_owned(), "X".to_owned())]);
    let error = refused(&BootConfig {
        names,
        ..usual.clone()
    });
    assert!(
        error.contains("\"odrer\"") && error.contains("left_a"),
        "{error}"
    );
    let names = BTreeMap::from([("order".to_owned(), "a b".to_owned())]);
    let error = refused(&BootConfig {
        names,
        ..usual.clone()
    });
    assert!(error.contains("no name of a variable"), "{error}");
    let programs = one("grub-editenv", "/bin/true");
    let error = refused(&BootConfig {
        programs,
        ..usual.clone()
    });
    assert!(error.contains("fw_setenv"), "{error}");
    for (a, b) in [("x", "x"), ("", "b"), ("a b", "c"), ("a;reset", "c")] {
        let error = refused(&BootConfig {
            slots: slots(a, b),
            ..usual.clone()
        });
        assert!(error.contains("two different names"), "{error}");
    }
}
