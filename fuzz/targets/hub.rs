#![no_main]

#[path = "../../tests/corpus/hub.rs"]
mod hub;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hub::check(bytes));
