//! Hashing and comparing short texts, eight bytes at a time.
//!
//! The standard library compares memory byte by byte on WebAssembly, and its
//! default hasher asks for randomness, which a stage has none of. A text that
//! collides on purpose costs time, which the sandbox limits.

use std::array;

/// Odd and without a pattern: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of the bytes, the same in every run. Its high half is the better one.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = bytes.len() as u64;
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        hash = mix(hash, last_word(bytes, rest));
    }
    // The low bits of a product depend only on low bits: bring the high ones down.
    (hash ^ hash >> 32).wrapping_mul(MULTIPLIER)
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER)
}

/// The last bytes as one word: the last eight where there are eight, which
/// overlap the word before and cost no loop.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => u64::from_le_bytes(array::from_fn(|index| {
            rest.get(index).copied().unwrap_or(0)
        })),
    }
}

/// Whether two byte strings are equal.
#[inline]
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (left_words, left_rest) = left.as_chunks::<8>();
    let (right_words, right_rest) = right.as_chunks::<8>();
    let words_equal = left_words
        .iter()
        .zip(right_words)
        .all(|(left, right)| u64::from_le_bytes(*left) == u64::from_le_bytes(*right));
    words_equal
        && left_rest
            .iter()
            .zip(right_rest)
            .all(|(left, right)| left == right)
}

#[cfg(test)]
mod tests {
    use super::{hash_bytes, same_bytes};

    #[test]
    fn every_byte_and_the_length_count() {
        let text = b"label_app:web|label_tier:db";
        for length in 0..text.len() {
            assert_ne!(hash_bytes(&text[..length]), hash_bytes(&text[..length + 1]));
            let mut other = text.to_vec();
            other[length] ^= 1;
            assert_ne!(hash_bytes(text), hash_bytes(&other), "byte {length}");
            assert!(!same_bytes(text, &other));
            assert!(same_bytes(&text[..length], &text[..length]));
        }
        assert_ne!(hash_bytes(b""), hash_bytes(b"\0"));
    }
}
