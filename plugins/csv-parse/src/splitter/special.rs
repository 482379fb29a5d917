//! Finds the bytes that matter, 64 at a time, as the bits of one word: by vector
//! instructions where there are any.

pub(super) const QUOTE: u8 = b'"';
pub(super) const LINE_FEED: u8 = b'\n';

/// How many bytes are looked at together: one bit each in a word.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Special {
    /// A bit for each byte that is a delimiter, a line feed or a quote.
    pub(super) all: u64,
    /// Whether there are delimiters and nothing else that matters.
    pub(super) only_delimiters: bool,
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(super) fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> Special {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2, u64x2_splat, v128_any_true, v128_or,
    };

    let (words, _) = block.as_chunks::<8>();
    let mut all = 0;
    let mut others = u64x2_splat(0);
    for part in 0..BLOCK / 16 {
        let bytes = u64x2(
            u64::from_le_bytes(words[part * 2]),
            u64::from_le_bytes(words[part * 2 + 1]),
        );
        let here = v128_or(
            u8x16_eq(bytes, u8x16_splat(LINE_FEED)),
            u8x16_eq(bytes, u8x16_splat(QUOTE)),
        );
        let hits = v128_or(u8x16_eq(bytes, u8x16_splat(delimiter)), here);
        all |= u64::from(u8x16_bitmask(hits)) << (part * 16);
        others = v128_or(others, here);
    }
    Special {
        all,
        only_delimiters: !v128_any_true(others),
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> Special {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte's high bit is set where it is zero, without carries between bytes.
    let zero_bytes = |word: u64| !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS);
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let (words, _) = block.as_chunks::<8>();
    let mut all = 0;
    let mut others = 0;
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let here = zero_bytes(word ^ each(LINE_FEED)) | zero_bytes(word ^ each(QUOTE));
        let hits = zero_bytes(word ^ each(delimiter)) | here;
        // Gathers the eight high bits into the highest byte.
        let bits = (hits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        all |= bits << (index * 8);
        others |= here;
    }
    Special {
        all,
        only_delimiters: others == 0,
    }
}
