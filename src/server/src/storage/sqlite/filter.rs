//! Which `(sender, cid)` were surely never stored: a Bloom filter a day, so that a new message costs no look-up.
//!
//! Every key sets eight bits in one block of 64 bytes, so a test costs one cache line a layer. A layer that is full
//! gets a larger one beside it. At 16 bits a key about one new key in 500 is taken for a known one, which costs that
//! message one look-up. The memory is bounded: beyond [`LAYERS`] the last layer goes on filling.

/// Keys of the first layer (128 KiB).
const FIRST_KEYS: usize = 1 << 16;
/// Each layer is this many times the one before.
const GROWTH: usize = 16;
/// At most so many layers: 128 KiB + 2 MiB + 32 MiB, for 18 million keys.
const LAYERS: usize = 3;

const KEYS_PER_BLOCK: usize = 32;

/// 512 bits.
type Block = [u64; 8];

/// The keys of one day.
#[derive(Debug)]
pub struct Filter {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    blocks: Vec<Block>,
    keys: usize,
}

impl Filter {
    /// An empty filter.
    pub fn new() -> Filter {
        Filter { layers: vec![Layer::new(FIRST_KEYS)] }
    }

    /// Remembers a key by its hash, 64 even bits.
    pub fn insert(&mut self, hash: u64) {
        let last = self.layers.last().expect("there is a first layer");
        if last.keys >= last.blocks.len() * KEYS_PER_BLOCK && self.layers.len() < LAYERS {
            let keys = last.blocks.len() * KEYS_PER_BLOCK * GROWTH;
            self.layers.push(Layer::new(keys));
        }
        self.layers.last_mut().expect("there is a first layer").insert(hash);
    }

    /// False: the key was never inserted.
    pub fn may_contain(&self, hash: u64) -> bool {
        self.layers.iter().any(|layer| layer.may_contain(hash))
    }
}

impl Layer {
    fn new(keys: usize) -> Layer {
        Layer { blocks: vec![[0; 8]; keys / KEYS_PER_BLOCK], keys: 0 }
    }

    fn insert(&mut self, hash: u64) {
        let at = self.block_of(hash);
        for (word, bit) in self.blocks[at].iter_mut().zip(bits(hash)) {
            *word |= bit;
        }
        self.keys += 1;
    }

    fn may_contain(&self, hash: u64) -> bool {
        let block = &self.blocks[self.block_of(hash)];
        block.iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }

    fn block_of(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.blocks.len() as u128) >> 64) as usize
    }
}

/// One bit for each word of a block, from bits of the hash that do not choose the block.
fn bits(hash: u64) -> impl Iterator<Item = u64> {
    let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (hash << 32);
    (0..8).map(move |word| 1 << (mixed >> (6 * word + 8) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn no_key_is_forgotten_and_few_are_mistaken() {
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
