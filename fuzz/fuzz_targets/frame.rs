//! Any bytes into the decoder `frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::frame(bytes));
