//! Any bytes into the decoders of what an event has beside its data, and of the head of a chained stream.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    annals_engine::fuzzing::event_extra(bytes);
    annals_engine::fuzzing::chain_head(bytes);
});
