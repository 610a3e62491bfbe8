//! Any bytes as JSON: what is accepted has one canonical form, and the file form reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metadata_schema::json::Json;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(json) = Json::read(bytes) {
        let again = Json::read(&json.pretty()).expect("what was written reads back");
        assert_eq!(again.canonical(), json.canonical());
    }
});
