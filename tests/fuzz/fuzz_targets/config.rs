#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| coregate_entries::config(data));
