//! Any bytes into the decoder `checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_engine::fuzzing::checkpoint(bytes));
