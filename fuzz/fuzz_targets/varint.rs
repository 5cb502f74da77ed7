//! Any bytes into the decoder `varint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::varint(bytes));
