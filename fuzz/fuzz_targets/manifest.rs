//! Any bytes into the decoder `manifest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_ordered::fuzzing::manifest(bytes));
