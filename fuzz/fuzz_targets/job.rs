#![no_main]
//! What holds is told in the oracle.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    openrdms_fuzz_oracles::job(bytes);
});
