//! `jobsyncd token`: a new API key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Failure, print};

/// How much chance is in a key, in bytes.
const KEY_BYTES: usize = 32;

pub(super) fn run() -> Result<(), Failure> {
    let chance: [u8; KEY_BYTES] = rand::random();
    print(format_args!("jsd_{}", URL_SAFE_NO_PAD.encode(chance)));
    Ok(())
}
