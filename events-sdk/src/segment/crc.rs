//! The CRC-32C of an event.
//!
//! The processor's instruction takes eight bytes at a time and waits for its own result three cycles long, which for an
//! event of ordinary size is most of what a segment costs its emitter. Three parts of the event, each on its own, take a
//! third of that; their sums are put together by what the sum of a part becomes when the next part follows.

/// The length of the second and of the third part, in bytes. The first is what is left.
const PART: usize = 64;

/// Shorter events take no longer in one go,
const LEAST: usize = 160;

/// and for longer ones `crc_fast` has a better way.
const MOST: usize = 256;

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// For each byte of a sum, what becomes of it when so many parts follow.
type Shift = [[u32; 256]; 4];

static ONE_PART: Shift = shift_by(PART);
static TWO_PARTS: Shift = shift_by(2 * PART);

/// The CRC-32C (Castagnoli) of these bytes.
#[inline]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    if (LEAST..=MOST).contains(&bytes.len())
        && let Some((rest, last)) = bytes.split_last_chunk::<PART>()
        && let Some((first, middle)) = rest.split_last_chunk::<PART>()
    {
        let [first, middle, last] = [first, middle, last].map(crc_fast::crc32_iscsi);
        return shifted(&TWO_PARTS, first) ^ shifted(&ONE_PART, middle) ^ last;
    }
    crc_fast::crc32_iscsi(bytes)
}

#[inline]
fn shifted(by: &Shift, sum: u32) -> u32 {
    let bytes = sum.to_le_bytes().map(usize::from);
    by[0][bytes[0]] ^ by[1][bytes[1]] ^ by[2][bytes[2]] ^ by[3][bytes[3]]
}

const fn shift_by(bytes: usize) -> Shift {
    // What becomes of each bit; the rest are sums of those.
    let (mut bits, mut bit) = ([0; 32], 0);
    while bit < 32 {
        let (mut sum, mut step) = (1_u32 << bit, 0);
        while step < bytes * 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            step += 1;
        }
        bits[bit] = sum;
        bit += 1;
    }
    let (mut shift, mut at) = ([[0; 256]; 4], 0);
    while at < 4 * 256 {
        let (place, byte) = (at / 256, at % 256);
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                shift[place][byte] ^= bits[place * 8 + bit];
            }
            bit += 1;
        }
        at += 1;
    }
    shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_three_parts_is_the_sum_of_the_whole() {
        let bytes: Vec<u8> = (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        for start in 0..16 {
            for len in 0..=400 {
                let part = &bytes[start..start + len];
                assert_eq!(crc32c(part), crc_fast::crc32_iscsi(part), "{len} bytes from {start}");
            }
        }
    }
}
