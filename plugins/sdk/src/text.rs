//! Texts as bytes.
//!
//! A column of text is bytes on both sides of the boundary, and to make a `str` of
//! them first costs a look at each byte. [`Text`] is for those who have looked
//! already.

/// Bytes that are UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The bytes when all of them are ASCII and none is NUL, as in nearly every
    /// report, which is known after one look at 32 bytes at a time.
    #[inline]
    pub fn from_ascii(bytes: &'a [u8]) -> Option<Text<'a>> {
        is_plain(bytes).then_some(Text(bytes))
    }

    /// Bytes that were checked before.
    pub(crate) fn checked(bytes: &'a [u8]) -> Text<'a> {
        Text(bytes)
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    #[inline]
    fn from(text: &'a str) -> Text<'a> {
        Text(text.as_bytes())
    }
}

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// Whether all bytes are from 1 to 127.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    if !blocks.iter().all(is_plain_block) {
        return false;
    }
    // The last bytes together with some that were looked at before cost no loop.
    match (bytes.last_chunk(), bytes.last_chunk()) {
        (Some(last), _) => rest.is_empty() || is_plain_block(last),
        (None, Some(last)) => {
            let (words, _) = bytes.as_chunks();
            words.iter().chain([last]).all(is_plain_word)
        }
        (None, None) => bytes.iter().all(|byte| (1..=0x7f).contains(byte)),
    }
}

/// The same for a block, without a branch inside: vector instructions where there
/// are any.
#[inline]
fn is_plain_block(block: &[u8; BLOCK]) -> bool {
    let (words, _) = block.as_chunks::<8>();
    let words = [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes);
    words.into_iter().fold(0, |all, word| all | unplain(word)) == 0
}

#[inline]
fn is_plain_word(word: &[u8; 8]) -> bool {
    unplain(u64::from_le_bytes(*word)) == 0
}

/// Zero when all eight bytes are from 1 to 127.
#[inline]
fn unplain(word: u64) -> u64 {
    // Only a byte of 0 needs to borrow, which sets its high bit.
    (word | word.wrapping_sub(0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn ascii_without_nul_is_text_and_nothing_else_is() {
        for length in 0..100 {
            for filler in [1, b'a', 0x7f] {
                let bytes = vec![filler; length];
                assert_eq!(
                    Text::from_ascii(&bytes).map(Text::as_bytes),
                    Some(&bytes[..])
                );
                for position in 0..length {
                    for byte in [0, 0x80, 0xc3, 0xff] {
                        let mut bytes = bytes.clone();
                        bytes[position] = byte;
                        assert_eq!(Text::from_ascii(&bytes), None, "{byte} at {position}");
                    }
                }
            }
        }
    }
}
