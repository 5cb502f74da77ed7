//! Any bytes into the decoder `segment`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::segment(bytes));
