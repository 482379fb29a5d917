//! Bitmaps: boolean values, and which rows have a value at all.
//!
//! Row `i` is bit `i % 8` of byte `i / 8`, least significant bit first, as in
//! the contract, so that the bytes cross as they are.

/// One bit per row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    bytes: Vec<u8>,
}

impl Bitmap {
    /// The bytes of a bitmap, as they crossed.
    pub fn from_bytes(bytes: Vec<u8>) -> Bitmap {
        Bitmap { bytes }
    }

    /// `rows` times the same bit.
    pub fn filled(rows: usize, bit: bool) -> Bitmap {
        let mut bitmap = Bitmap {
            bytes: vec![if bit { 0xff } else { 0 }; rows.div_ceil(8)],
        };
        bitmap.clear_after(rows);
        bitmap
    }

    /// The bit of a row.
    pub fn get(&self, row: usize) -> bool {
        self.bytes[row / 8] >> (row % 8) & 1 == 1
    }

    /// Sets the bit of a row, which may be the one after the last.
    pub fn set(&mut self, row: usize, bit: bool) {
        if row / 8 == self.bytes.len() {
            self.bytes.push(0);
        }
        let byte = &mut self.bytes[row / 8];
        *byte = *byte & !(1 << (row % 8)) | u8::from(bit) << (row % 8);
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.bytes.truncate(rows.div_ceil(8));
        self.clear_after(rows);
    }

    /// The bytes, to cross.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Zeroes what the last byte has beyond the rows, so that equal bitmaps have
    /// equal bytes.
    fn clear_after(&mut self, rows: usize) {
        if !rows.is_multiple_of(8)
            && let Some(last) = self.bytes.last_mut()
        {
            *last &= (1 << (rows % 8)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn bits_are_least_significant_first() {
        let mut bitmap = Bitmap::default();
        for row in 0..10 {
            bitmap.set(row, row == 1 || row == 9);
        }
        assert_eq!(bitmap.clone().into_bytes(), [0b10, 0b10]);
        assert!(bitmap.get(9) && !bitmap.get(8));
        bitmap.truncate(9);
        assert_eq!(bitmap.into_bytes(), [0b10, 0]);
    }

    #[test]
    fn filled_has_no_bits_beyond_its_rows() {
        assert_eq!(Bitmap::filled(9, true).into_bytes(), [0xff, 1]);
    }
}
