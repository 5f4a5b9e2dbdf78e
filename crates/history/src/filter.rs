//! Which blocks of a file may hold a value: a Bloom filter for each block, bit after bit of all filters together, so
//! that one question looks at a few short stretches of bytes and is answered for every block of the file.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

/// The filter of one column: where it lies in the file, and its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterPlace {
    pub(crate) offset: u64,
    /// Bits of one block's filter.
    pub(crate) bits: u32,
    /// Bits that a value sets.
    pub(crate) probes: u32,
}

impl FilterPlace {
    /// Its size in a file of so many blocks.
    pub(crate) fn size_bytes(&self, blocks: usize) -> usize {
        (self.bits as usize).saturating_mul(blocks).div_ceil(8)
    }

    /// Whether the block's filter allows the value, by the filter's bytes.
    fn allows(&self, bytes: &[u8], blocks: usize, block: usize, hash: u64) -> bool {
        probes(hash, self.bits, self.probes).all(|bit| {
            let at = bit as usize * blocks + block;
            // Bytes that are not there allow everything: only the rows tell then.
            bytes.get(at / 8).is_none_or(|byte| byte & 1 << (at % 8) != 0)
        })
    }

    /// The blocks of `among` that may hold `value`.
    pub(crate) fn blocks(&self, bytes: &[u8], blocks: usize, among: Range<usize>, value: &str) -> Vec<usize> {
        let hash = hash(value);
        among.filter(|block| self.allows(bytes, blocks, *block, hash)).collect()
    }
}

/// Collects the values of a column, block by block.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    /// The hashes of each block's values; those of all but the last without repetition.
    blocks: Vec<Vec<u64>>,
    bits_per_value: u32,
}

impl FilterBuilder {
    /// The filter says "perhaps" of a value that is not there once in about 1.6 to the power of `bits_per_value`.
    pub(crate) fn new(bits_per_value: u32) -> Self {
        Self { blocks: Vec::new(), bits_per_value }
    }

    /// Adds a value of a block, which is the last one or one after it.
    pub(crate) fn add(&mut self, block: usize, value: &str) {
        self.begin(block);
        self.blocks[block].push(hash(value));
    }

    fn begin(&mut self, block: usize) {
        while self.blocks.len() <= block {
            if let Some(last) = self.blocks.last_mut() {
                distinct(last);
            }
            self.blocks.push(Vec::new());
        }
    }

    /// The shape and the bytes of the filter, for a file of so many blocks.
    pub(crate) fn finish(mut self, blocks: usize) -> (FilterPlace, Vec<u8>) {
        self.begin(blocks.max(1) - 1);
        self.blocks.iter_mut().for_each(distinct);
        let most = self.blocks.iter().map(Vec::len).max().unwrap_or_default() as u32;
        let place = FilterPlace {
            offset: 0,
            bits: most.max(4) * self.bits_per_value,
            // ln 2 times the bits: half of the filter's bits are set then.
            probes: (self.bits_per_value * 7 / 10).max(1),
        };
        let mut bytes = vec![0; place.size_bytes(blocks)];
        for (block, hashes) in self.blocks.iter().enumerate() {
            for bit in hashes.iter().flat_map(|hash| probes(*hash, place.bits, place.probes)) {
                let at = bit as usize * blocks + block;
                bytes[at / 8] |= 1 << (at % 8);
            }
        }
        (place, bytes)
    }
}

fn distinct(hashes: &mut Vec<u64>) {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.shrink_to_fit();
}

/// Part of the file's form: never to change.
fn hash(value: &str) -> u64 {
    XxHash64::oneshot(0, value.as_bytes())
}

/// The bits of a value: Kirsch and Mitzenmacher's two hashes for any number of them.
fn probes(hash: u64, bits: u32, probes: u32) -> impl Iterator<Item = u32> {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..probes).map(move |i| {
        let mixed = first.wrapping_add(i.wrapping_mul(step));
        ((u64::from(mixed) * u64::from(bits)) >> 32) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_its_blocks_and_hardly_anywhere_else() {
        let (blocks, of_block) = (21, 500);
        let mut builder = FilterBuilder::new(12);
        for block in 0..blocks {
            for value in 0..of_block {
                builder.add(block, &format!("{block}-{value}"));
                builder.add(block, "everywhere");
            }
        }
        let (place, bytes) = builder.finish(blocks);
        assert_eq!(bytes.len(), place.size_bytes(blocks));
        assert!(place.bits as usize <= (of_block + 1) * 12, "a value counts once in a block");
        assert_eq!(place.blocks(&bytes, blocks, 0..blocks, "everywhere"), (0..blocks).collect::<Vec<_>>());
        assert_eq!(place.blocks(&bytes, blocks, 3..5, "everywhere"), [3, 4]);
        let mut wrong = 0;
        for block in 0..blocks {
            for value in 0..of_block {
                let found = place.blocks(&bytes, blocks, 0..blocks, &format!("{block}-{value}"));
                assert!(found.contains(&block));
                wrong += found.len() - 1;
            }
        }
        let asked = blocks * of_block * (blocks - 1);
        assert!(wrong < asked / 100, "{wrong} of {asked} answers are wrong");
    }

    #[test]
    fn blocks_without_values_and_bytes_that_are_gone_are_no_trouble() {
        let mut builder = FilterBuilder::new(12);
        builder.add(2, "here");
        let (place, bytes) = builder.finish(5);
        assert_eq!(place.blocks(&bytes, 5, 0..5, "here"), [2]);
        assert_eq!(place.blocks(&[], 5, 0..5, "here"), [0, 1, 2, 3, 4]);
        let (place, bytes) = FilterBuilder::new(12).finish(3);
        assert!(place.blocks(&bytes, 3, 0..3, "here").is_empty());
    }
}
