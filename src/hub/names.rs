//! Names that the hub makes: no two are the same, in this run or another, as far as the seed is new each time.

/// Mixes a seed and a number so that each bit of either reaches each bit of the result (`SplitMix64`).
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A name for a mailbox: 16 hex digits.
pub(super) fn mailbox(seed: u64, id: u64) -> String {
    format!("{:016x}", mix(!seed, id))
}
