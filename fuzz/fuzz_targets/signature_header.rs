#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobsyncd_fuzz::signature_header::check(data));
