//! Places in a chunk, written several at a time.

use super::special::BLOCK;

/// How many places are written together: of most blocks all, so that the processor
/// need not guess their number.
const TOGETHER: usize = 4;

/// Where fields begin.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Those that there are, and room.
    places: Vec<u32>,
    length: usize,
}

impl Starts {
    #[inline]
    pub(super) fn all(&self) -> &[u32] {
        &self.places[..self.length]
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Forgets all but the first.
    #[inline]
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    #[inline]
    pub(super) fn push(&mut self, place: u32) {
        self.make_room();
        self.places[self.length] = place;
        self.length += 1;
    }

    /// Adds a place for each bit: so far behind `first` as the bit is behind the
    /// lowest.
    #[inline]
    pub(super) fn push_bits(&mut self, first: u32, bits: u64) {
        self.make_room();
        let (groups, _) = self.places[self.length..].as_chunks_mut::<TOGETHER>();
        let mut rest = bits;
        for group in groups {
            for place in group {
                // Where no bit is left, what is written is behind the length.
                *place = first.wrapping_add(rest.trailing_zeros());
                rest &= rest.wrapping_sub(1);
            }
            if rest == 0 {
                break;
            }
        }
        self.length += bits.count_ones() as usize;
    }

    /// Makes room for all that a block can have.
    #[inline]
    fn make_room(&mut self) {
        if self.places.len() < self.length + BLOCK {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let length = (self.places.len() * 2).max(BLOCK * BLOCK);
        self.places.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Starts;

    #[test]
    fn there_is_a_place_for_each_bit_and_room_for_many() {
        let mut starts = Starts::default();
        let mut expected = Vec::new();
        for round in 0..500_u32 {
            let bits = match round % 5 {
                0 => 0,
                1 => u64::MAX,
                _ => u64::from(round).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            };
            starts.push_bits(round * 64, bits);
            expected.extend(
                (0..64)
                    .filter(|bit| bits >> bit & 1 == 1)
                    .map(|bit| round * 64 + bit),
            );
            assert_eq!(starts.all(), expected);
        }
        starts.truncate(3);
        starts.push(7);
        assert_eq!(starts.all(), [64, 65, 66, 7]);
        assert_eq!(starts.len(), 4);
    }
}
