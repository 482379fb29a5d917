//! A column of whole numbers in as few bytes as they need: sums of fixed point rarely need
//! all eight, the numbers of keys one to three, and nulls none.
//!
//! Values lie in chunks, each as wide as its widest value, so that a single large one widens
//! few others, and what grows does so without being copied.

/// The values of a chunk.
const CHUNK_VALUES: usize = 4096;

/// A value is read and written as eight bytes, of which those behind it are another's.
const WORD_BYTES: usize = size_of::<u64>();

/// Values by their places; all are 0 until they are set.
#[derive(Default)]
pub(super) struct Packed {
    chunks: Vec<Chunk>,
    bytes: usize,
}

/// No bytes at all while all values are 0.
#[derive(Default)]
struct Chunk {
    /// Bytes of a value.
    width: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    pub(super) fn get(&self, place: u32) -> i64 {
        let (chunk, within) = chunk_of(place);
        self.chunks.get(chunk).map_or(0, |chunk| chunk.get(within))
    }

    pub(super) fn set(&mut self, place: u32, value: i64) {
        let (chunk, within) = chunk_of(place);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk + 1, Chunk::default);
        }
        let chunk = &mut self.chunks[chunk];
        let width = width_of(value);
        if width > chunk.width {
            let before = chunk.bytes.len();
            chunk.widen(width);
            self.bytes += chunk.bytes.len() - before;
        }
        chunk.set(within, value);
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<Chunk>()
    }
}

impl Chunk {
    fn get(&self, within: usize) -> i64 {
        if self.width == 0 {
            return 0;
        }
        // Shifted up and down again, which extends the sign.
        let unused = 64 - 8 * self.width as u32;
        (self.word(within) << unused) as i64 >> unused
    }

    fn set(&mut self, within: usize, value: i64) {
        if self.width == 0 {
            return;
        }
        let others = match self.width {
            WORD_BYTES => 0,
            width => u64::MAX << (8 * width),
        };
        let word = (self.word(within) & others) | (value as u64 & !others);
        let begin = within * self.width;
        self.bytes[begin..begin + WORD_BYTES].copy_from_slice(&word.to_le_bytes());
    }

    fn word(&self, within: usize) -> u64 {
        let begin = within * self.width;
        let mut word = [0; WORD_BYTES];
        word.copy_from_slice(&self.bytes[begin..begin + WORD_BYTES]);
        u64::from_le_bytes(word)
    }

    fn widen(&mut self, width: usize) {
        let bytes = vec![0; CHUNK_VALUES * width + WORD_BYTES - width];
        let mut wider = Self {
            width,
            bytes: bytes.into_boxed_slice(),
        };
        if self.width > 0 {
            for within in 0..CHUNK_VALUES {
                wider.set(within, self.get(within));
            }
        }
        *self = wider;
    }
}

fn chunk_of(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / CHUNK_VALUES, place % CHUNK_VALUES)
}

/// The bytes that a value needs, with its sign; none for 0.
fn width_of(value: i64) -> usize {
    if value == 0 {
        return 0;
    }
    let without_sign = if value < 0 { !value } else { value };
    let bits = 64 - without_sign.leading_zeros() + 1;
    bits.div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_needs_its_bits_and_a_sign() {
        let widths = [
            (0, 0),
            (1, 1),
            (-1, 1),
            (127, 1),
            (128, 2),
            (-128, 1),
            (-129, 2),
            (i64::MAX >> 8, 7),
            ((i64::MAX >> 8) + 1, 8),
            (i64::MAX, 8),
            (i64::MIN, 8),
        ];
        for (value, width) in widths {
            assert_eq!(width_of(value), width, "{value}");
        }
    }

    #[test]
    fn what_is_0_takes_nothing_and_what_is_small_takes_little() {
        let mut packed = Packed::default();
        packed.set(3 * CHUNK_VALUES as u32, 0);
        let empty = packed.bytes();
        assert!(empty < CHUNK_VALUES, "{empty}");
        packed.set(1, 100);
        let narrow = packed.bytes();
        assert!(narrow < empty + CHUNK_VALUES + 2 * WORD_BYTES, "{narrow}");
        packed.set(2, i64::MIN);
        assert_eq!(packed.bytes(), empty + CHUNK_VALUES * WORD_BYTES);
        assert_eq!(
            [0, 1, 2, 3].map(|place| packed.get(place)),
            [0, 100, i64::MIN, 0]
        );
        assert_eq!(packed.get(u32::MAX), 0);
    }

    proptest! {
        /// Neighbours and values of other widths do not touch each other.
        #[test]
        fn is_a_map_of_values(sets in proptest::collection::vec((0..9_000u32, 0..64u32, any::<i64>()), 0..400)) {
            let (mut packed, mut map) = (Packed::default(), BTreeMap::new());
            for (place, shift, value) in sets {
                packed.set(place, value >> shift);
                map.insert(place, value >> shift);
            }
            for place in 0..9_000 {
                let expected = map.get(&place).copied().unwrap_or_default();
                prop_assert_eq!(packed.get(place), expected, "{}", place);
            }
        }
    }
}
