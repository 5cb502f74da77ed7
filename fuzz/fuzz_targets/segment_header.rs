//! Any bytes into the decoder `segment_header`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_journal::fuzzing::segment_header(bytes));
