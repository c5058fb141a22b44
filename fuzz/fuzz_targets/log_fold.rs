#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobsyncd_fuzz::log_fold::check(data));
