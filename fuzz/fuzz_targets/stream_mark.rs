//! Any bytes into the decoder of a stream's mark.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_engine::fuzzing::mark(bytes));
