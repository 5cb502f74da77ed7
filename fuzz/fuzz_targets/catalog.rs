//! Any bytes into the decoder `catalog`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_engine::fuzzing::catalog(bytes));
