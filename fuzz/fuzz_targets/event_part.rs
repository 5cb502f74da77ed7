//! Any bytes into the decoder `part` of events by column.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annals_columns::fuzzing::part(bytes));
