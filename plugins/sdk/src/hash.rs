//! Hashing and comparing texts, 32 bytes at a time where there are as many.
//!
//! The standard library compares memory byte by byte on WebAssembly, and its
//! default hasher asks for randomness, which a stage has none of. A text that
//! collides on purpose costs time, which the sandbox limits.
//!
//! What remains at the end of a text is taken as the last words of it, which
//! overlap the ones before and cost no loop.

/// Odd and without a pattern: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// A block as words.
type Words = [u64; BLOCK / 8];

/// A hash of the bytes, the same in every run. Its high half is the better one.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let hash = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => match (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
            (Some(first), Some(last)) => match bytes.last_chunk::<BLOCK>() {
                Some(last) => hash_blocks(bytes, last),
                None => {
                    let (first, last) = (two_words(first), two_words(last));
                    let words = [first[0], first[1], last[0], last[1]];
                    words.into_iter().fold(length, mix)
                }
            },
            _ => mix(
                mix(length, u64::from_le_bytes(*first)),
                u64::from_le_bytes(*last),
            ),
        },
        _ => mix(length, short_word(bytes)),
    };
    // The low bits of a product depend only on low bits: bring the high ones down.
    (hash ^ hash >> 32).wrapping_mul(MULTIPLIER)
}

/// Each word of a block has a lane of its own, so that none waits for another.
#[inline]
fn hash_blocks(bytes: &[u8], last: &[u8; BLOCK]) -> u64 {
    let mut lanes: Words = [0; BLOCK / 8];
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut take = |block| {
        for (lane, word) in lanes.iter_mut().zip(words(block)) {
            *lane = mix(*lane, word);
        }
    };
    blocks.iter().for_each(&mut take);
    if !rest.is_empty() {
        take(last);
    }
    lanes.into_iter().fold(bytes.len() as u64, mix)
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER)
}

/// Whether two byte strings are equal.
#[inline]
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    // Most cells are of these lengths, and need neither a loop nor a call.
    if let (Some(left_first), Some(right_first), Some(left_last), Some(right_last)) = (
        left.first_chunk::<16>(),
        right.first_chunk::<16>(),
        left.last_chunk::<16>(),
        right.last_chunk::<16>(),
    ) && left.len() <= BLOCK
    {
        return left_first == right_first && left_last == right_last;
    }
    same_bytes_of_any_length(left, right)
}

/// The same for those that are shorter than 16 bytes or longer than a block.
#[inline(never)]
fn same_bytes_of_any_length(left: &[u8], right: &[u8]) -> bool {
    if let (Some(left_last), Some(right_last)) = (left.last_chunk(), right.last_chunk()) {
        let (left_blocks, _) = left.as_chunks::<BLOCK>();
        let (right_blocks, _) = right.as_chunks::<BLOCK>();
        return same_block(left_last, right_last)
            && left_blocks
                .iter()
                .zip(right_blocks)
                .all(|(left, right)| same_block(left, right));
    }
    if let (Some(left_first), Some(right_first), Some(left_last), Some(right_last)) = (
        left.first_chunk::<8>(),
        right.first_chunk::<8>(),
        left.last_chunk::<8>(),
        right.last_chunk::<8>(),
    ) {
        return left_first == right_first && left_last == right_last;
    }
    short_word(left) == short_word(right)
}

/// Whether two blocks are equal, without a branch inside: vector instructions
/// where there are any.
#[inline]
fn same_block(left: &[u8; BLOCK], right: &[u8; BLOCK]) -> bool {
    let (left, right) = (words(left), words(right));
    let differences = left.iter().zip(right).map(|(left, right)| left ^ right);
    differences.fold(0, |all, word| all | word) == 0
}

#[inline]
fn words(block: &[u8; BLOCK]) -> Words {
    let (words, _) = block.as_chunks::<8>();
    [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes)
}

#[inline]
fn two_words(bytes: &[u8; 16]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks::<8>();
    [words[0], words[1]].map(u64::from_le_bytes)
}

/// Less than eight bytes as one word, which texts of one length share only when
/// they are equal.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [first, last] = [*first, *last].map(|word| u64::from(u32::from_le_bytes(word)));
        return first | last << 32;
    }
    match bytes {
        [] => 0,
        [first, .., last] => {
            let middle = bytes[bytes.len() / 2];
            u64::from(*first) | u64::from(middle) << 8 | u64::from(*last) << 16
        }
        [only] => u64::from(*only),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{hash_bytes, same_bytes};

    #[test]
    fn every_byte_and_the_length_count() {
        let text: Vec<u8> = (0..150_u8).map(|byte| byte.wrapping_mul(37)).collect();
        for length in 0..=text.len() {
            let text = &text[..length];
            let copy = text.to_vec();
            assert!(same_bytes(text, &copy));
            for position in 0..length {
                for bit in 0..8 {
                    let mut other = text.to_vec();
                    other[position] ^= 1 << bit;
                    assert_ne!(
                        hash_bytes(text),
                        hash_bytes(&other),
                        "byte {position} of {length}"
                    );
                    assert!(!same_bytes(text, &other), "byte {position} of {length}");
                }
                assert_ne!(hash_bytes(text), hash_bytes(&text[..position]));
                assert!(!same_bytes(text, &text[..position]));
            }
        }
        assert_ne!(hash_bytes(b""), hash_bytes(b"\0"));
    }

    #[test]
    fn the_order_of_parts_counts() {
        // Eight parts of sixteen bytes, so that words change lanes and blocks.
        let parts: Vec<String> = (0..8)
            .map(|part| format!("label_{part}:value_{part}|"))
            .collect();
        let mut hashes = BTreeSet::new();
        for left in 0..8 {
            for right in 0..left {
                let mut parts = parts.clone();
                parts.swap(left, right);
                hashes.insert(hash_bytes(parts.concat().as_bytes()));
            }
        }
        hashes.insert(hash_bytes(parts.concat().as_bytes()));
        assert_eq!(hashes.len(), 29);
    }

    #[test]
    fn high_halves_spread() {
        // 20,000 texts share some slots of 2^16, but no more than by chance.
        for pattern in ["pod-", "label_app:web|label_tier:database|label_pod:"] {
            let slots: BTreeSet<u64> = (0..20_000)
                .map(|number| hash_bytes(format!("{pattern}{number}").as_bytes()) >> 48)
                .collect();
            assert!(slots.len() > 16_900, "{pattern}: {}", slots.len());
        }
    }
}
