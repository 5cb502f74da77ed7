//! Any bytes into the decoder `table_block`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_ordered::fuzzing::table_block(bytes));
