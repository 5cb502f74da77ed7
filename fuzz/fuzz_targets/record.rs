//! Any bytes into the decoder `record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::record(bytes));
