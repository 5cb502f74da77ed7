//! Any bytes into the decoders of an event's value and of a stream's key.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    annals_engine::fuzzing::event(bytes);
    annals_engine::fuzzing::stream_key(bytes);
});
