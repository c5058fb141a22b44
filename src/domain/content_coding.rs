//! How the body of a request is packed on its way (`Content-Encoding`), and its unpacking.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// A way of packing that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// Not at all.
    Identity,
    /// By gzip.
    Gzip,
}

/// A way of packing that is not understood, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCoding(pub String);

/// Why a body could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It would be too large.
    #[error("the body is larger than {limit_bytes} bytes once it is unpacked")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// It is not gzip, or not all of it is there.
    #[error("the body is said to be gzip (Content-Encoding), and is damaged or no gzip at all")]
    Damaged,
}

impl ContentCoding {
    /// The coding that the values of `Content-Encoding` name; there is none without such a header.
    ///
    /// # Errors
    /// Where another one than gzip is named, or more than one.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownCoding> {
        let codings = values.into_iter().flat_map(|value| value.split(',')).map(str::trim);
        let is_packing =
            |coding: &&str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
        let named: Vec<_> = codings.filter(is_packing).collect();
        match named[..] {
            [] => Ok(Self::Identity),
            [one] if ["gzip", "x-gzip"].iter().any(|gzip| one.eq_ignore_ascii_case(gzip)) => {
                Ok(Self::Gzip)
            }
            _ => Err(UnknownCoding(named.join(", "))),
        }
    }
}

/// Unpacks gzip of any number of members. Never more than the limit is held in memory. Where there is no body
/// at all, nothing is packed.
///
/// # Errors
/// Where it is damaged, or would be larger than the limit.
pub fn gunzip(packed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, UnpackError> {
    let mut unpacked = Vec::new();
    if packed.is_empty() {
        return Ok(unpacked);
    }
    let beyond = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = MultiGzDecoder::new(packed).take(beyond);
    reader.read_to_end(&mut unpacked).map_err(|_| UnpackError::Damaged)?;
    if unpacked.len() > limit_bytes {
        return Err(UnpackError::TooLarge { limit_bytes });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn a_coding_is_known_in_any_spelling() {
        for gzip in [&["gzip"][..], &["GZIP"], &["x-gzip"], &["identity, gzip"], &["", "gzip ,"]] {
            assert_eq!(
                ContentCoding::of(gzip.iter().copied()),
                Ok(ContentCoding::Gzip),
                "{gzip:?}"
            );
        }
        for none in [&[][..], &["identity"], &[""], &["Identity", " , "]] {
            assert_eq!(
                ContentCoding::of(none.iter().copied()),
                Ok(ContentCoding::Identity),
                "{none:?}"
            );
        }
        for (other, named) in [
            (&["br"][..], "br"),
            (&["deflate"], "deflate"),
            (&["gzip, gzip"], "gzip, gzip"),
            (&["zstd", "gzip"], "zstd, gzip"),
        ] {
            assert_eq!(
                ContentCoding::of(other.iter().copied()),
                Err(UnknownCoding(named.to_owned()))
            );
        }
    }

    #[test]
    fn a_body_may_be_exactly_as_large_as_the_limit_once_it_is_unpacked() {
        let (whole, packed) = (vec![b' '; 100_000], gzip(&[b' '; 100_000]));
        assert_eq!(gunzip(&packed, 100_000), Ok(whole));
        assert_eq!(gunzip(&packed, 99_999), Err(UnpackError::TooLarge { limit_bytes: 99_999 }));
        assert_eq!(gunzip(&[gzip(b"{"), gzip(b"}")].concat(), 2), Ok(b"{}".to_vec()));
        assert_eq!(
            gunzip(&[gzip(b"{"), gzip(b"}")].concat(), 1),
            Err(UnpackError::TooLarge { limit_bytes: 1 })
        );
        assert_eq!(gunzip(b"", 10), Ok(Vec::new()));
    }

    #[test]
    fn what_is_damaged_is_not_taken_in_part() {
        let packed = gzip(b"{\"id\": 1}");
        let mut flipped = packed.clone();
        flipped[14] ^= 0xff;
        for damaged in [
            &packed[..packed.len() - 1],
            &packed[..5],
            b"{}",
            &flipped,
            &[&packed[..], b"x"].concat(),
        ] {
            assert_eq!(gunzip(damaged, 100), Err(UnpackError::Damaged));
        }
    }
}
