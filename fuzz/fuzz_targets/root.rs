//! Any bytes into the decoder `root`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::root(bytes));
