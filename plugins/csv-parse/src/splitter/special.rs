//! Finds the bytes that matter, 64 at a time, as the bits of one word: by vector
//! instructions where there are any.

pub(super) const QUOTE: u8 = b'"';
pub(super) const LINE_FEED: u8 = b'\n';

/// How many bytes are looked at together: one bit each in a word.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block that matter, each as a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Special {
    /// Those that are a delimiter, a line feed or a quote.
    pub(super) all: u64,
    pub(super) line_feeds: u64,
    pub(super) quotes: u64,
}

impl Special {
    /// Takes the first one away and says where it was.
    #[inline]
    pub(super) fn take_first(&mut self) -> usize {
        let first = self.all.trailing_zeros() as usize;
        self.all &= self.all - 1;
        self.line_feeds &= self.all;
        self.quotes &= self.all;
        first
    }

    /// Takes away what there is up to the first line feed, and says what of it was
    /// before, and where the line feed was.
    #[inline]
    pub(super) fn take_line(&mut self) -> (u64, usize) {
        let line_feed = self.line_feeds.trailing_zeros();
        let behind = u64::MAX << line_feed << 1;
        let before = self.all & !(u64::MAX << line_feed);
        self.all &= behind;
        self.line_feeds &= behind;
        (before, line_feed as usize)
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(super) fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> Special {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2, u64x2_splat, v128, v128_any_true, v128_or,
    };

    let (words, _) = block.as_chunks::<8>();
    let part = |part: usize| {
        u64x2(
            u64::from_le_bytes(words[part * 2]),
            u64::from_le_bytes(words[part * 2 + 1]),
        )
    };
    let same = |bytes: v128, byte: u8| u8x16_eq(bytes, u8x16_splat(byte));
    let mut all = 0;
    let mut others = u64x2_splat(0);
    for index in 0..BLOCK / 16 {
        let bytes = part(index);
        let here = v128_or(same(bytes, LINE_FEED), same(bytes, QUOTE));
        let hits = v128_or(same(bytes, delimiter), here);
        all |= u64::from(u8x16_bitmask(hits)) << (index * 16);
        others = v128_or(others, here);
    }
    // Most blocks have delimiters alone.
    if !v128_any_true(others) {
        return Special {
            all,
            ..Special::default()
        };
    }
    let each = |byte: u8| {
        let bits = |index| u64::from(u8x16_bitmask(same(part(index), byte))) << (index * 16);
        (0..BLOCK / 16).map(bits).fold(0, |all, bits| all | bits)
    };
    Special {
        all,
        line_feeds: each(LINE_FEED),
        quotes: each(QUOTE),
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> Special {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte's high bit is set where it is the same, without carries between bytes.
    let same = |word: u64, byte: u8| {
        let word = word ^ u64::from_ne_bytes([byte; 8]);
        !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
    };
    // Gathers the eight high bits into the highest byte.
    let gather = |bits: u64| (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let (words, _) = block.as_chunks::<8>();
    let mut all = 0;
    let mut others = 0;
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let here = same(word, LINE_FEED) | same(word, QUOTE);
        all |= gather(same(word, delimiter) | here) << (index * 8);
        others |= here;
    }
    // Most blocks have delimiters alone.
    if others == 0 {
        return Special {
            all,
            ..Special::default()
        };
    }
    let each = |byte: u8| {
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let bits = words.map(|word| gather(same(word, byte)));
        bits.rev().fold(0, |all, bits| all << 8 | bits)
    };
    Special {
        all,
        line_feeds: each(LINE_FEED),
        quotes: each(QUOTE),
    }
}
