//! A Bloom filter of `(sender, cid)` for each day, which spares new messages a look-up.
//!
//! Every key sets eight bits in one block of 64 bytes, so a test costs one cache line for each layer. A full layer is
//! followed by a larger one. At 16 bits a key about one new key in 500 is mistaken for a known one, which costs that
//! message one look-up. The memory is bounded: after [`LAYERS`] layers the last one keeps filling.

/// Keys of the first layer (128 KiB).
const FIRST_KEYS: usize = 1 << 16;
/// The size of a layer relative to the one before.
const GROWTH: usize = 16;
/// The most layers: 128 KiB + 2 MiB + 32 MiB, for 18 million keys.
const LAYERS: usize = 3;

const KEYS_PER_BLOCK: usize = 32;
/// Words of a block: a cache line.
const BLOCK: usize = 8;

/// The keys of one day.
#[derive(Debug)]
pub struct Filter {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// The words before the first block and after the last are for alignment: untouched pages of zeros cost nothing,
    /// and only memory without special alignment is allocated that way.
    words: Vec<u64>,
    first: usize,
    blocks: usize,
    keys: usize,
}

impl Filter {
    /// An empty filter.
    pub fn new() -> Filter {
        Filter { layers: vec![Layer::new(FIRST_KEYS)] }
    }

    /// Inserts a key by its hash, 64 uniform bits. Returns false if it was never inserted before.
    ///
    /// Neither this nor [`Filter::may_contain`] branches on loaded values, so the processor overlaps many calls.
    pub fn insert(&mut self, hash: u64) -> bool {
        let last = self.layers.last().expect("there is a first layer");
        if last.keys >= last.blocks * KEYS_PER_BLOCK && self.layers.len() < LAYERS {
            let keys = last.blocks * KEYS_PER_BLOCK * GROWTH;
            self.layers.push(Layer::new(keys));
        }
        let (last, full) = self.layers.split_last_mut().expect("there is a first layer");
        last.insert(hash) | may_contain(full, hash)
    }

    /// Returns false if the key was never inserted.
    pub fn may_contain(&self, hash: u64) -> bool {
        may_contain(&self.layers, hash)
    }
}

fn may_contain(layers: &[Layer], hash: u64) -> bool {
    layers.iter().fold(false, |may, layer| may | layer.may_contain(hash))
}

impl Layer {
    fn new(keys: usize) -> Layer {
        let blocks = keys / KEYS_PER_BLOCK;
        let words = vec![0; (blocks + 1) * BLOCK];
        let first = words.as_ptr().align_offset(BLOCK * size_of::<u64>());
        Layer { words, first, blocks, keys: 0 }
    }

    fn insert(&mut self, hash: u64) -> bool {
        let (at, mut missing) = (self.block_of(hash), 0);
        for (word, bit) in self.words[at..][..BLOCK].iter_mut().zip(bits(hash)) {
            missing |= !*word & bit;
            *word |= bit;
        }
        self.keys += usize::from(missing != 0);
        missing == 0
    }

    fn may_contain(&self, hash: u64) -> bool {
        let block = &self.words[self.block_of(hash)..][..BLOCK];
        block.iter().zip(bits(hash)).fold(0, |missing, (word, bit)| missing | (!word & bit)) == 0
    }

    /// The start of a key's block.
    fn block_of(&self, hash: u64) -> usize {
        self.first + BLOCK * ((u128::from(hash) * self.blocks as u128) >> 64) as usize
    }
}

/// One bit for each word of a block, from bits of the hash that do not select the block.
fn bits(hash: u64) -> impl Iterator<Item = u64> {
    let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (hash << 32);
    (0..8).map(move |word| 1 << (mixed >> (6 * word + 8) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn every_key_is_found_and_few_others_are() {
        let hasher = foldhash::fast::FixedState::with_seed(1);
        let mut filter = Filter::new();
        let keys = 200_000u64;
        for key in 0..keys {
            filter.insert(hasher.hash_one(key));
        }
        assert!((0..keys).all(|key| filter.may_contain(hasher.hash_one(key))));
        let mistaken = (keys..keys * 2).filter(|key| filter.may_contain(hasher.hash_one(*key))).count();
        assert!(mistaken < keys as usize / 100, "{mistaken} of {keys}");
    }
}
