//! Replies, of which there are as many as requests: written and read as postcard would, in half the instructions.

use super::Change;

/// Which of the changes a reply is.
const REPLY: u8 = 5;

/// Bits of a number in each of its bytes; the highest one says whether more bytes follow.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// Appends a reply to a batch.
pub(super) fn write(session: u64, number: u64, line: u64, outcome: &[u8], batch: &mut Vec<u8>) {
    batch.push(REPLY);
    for number in [session, number, line, outcome.len() as u64] {
        write_number(number, batch);
    }
    batch.extend_from_slice(outcome);
}

fn write_number(mut number: u64, batch: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= BITS;
        if number == 0 {
            return batch.push(low);
        }
        batch.push(low | MORE);
    }
}

/// Takes a reply from the start of a batch, if one stands there.
pub(super) fn read(batch: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (&REPLY, rest) = batch.split_first()? else { return None };
    let (session, rest) = read_number(rest)?;
    let (number, rest) = read_number(rest)?;
    let (line, rest) = read_number(rest)?;
    let (length, rest) = read_number(rest)?;
    let (outcome, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Change::Reply { session, number, line, outcome }, rest))
}

fn read_number(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        bytes = rest;
        let bits = u64::from(byte & !MORE);
        // Of the tenth byte only one bit fits.
        if shift + BITS > u64::BITS && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < MORE {
            return Some((number, bytes));
        }
        shift += BITS;
        if shift >= u64::BITS {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(number, bits)| number >> bits)
    }

    proptest! {
        #[test]
        fn a_reply_is_written_as_postcard_writes_it(
            session in number(),
            number in number(),
            line in number(),
            outcome in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let reply = Change::Reply { session, number, line, outcome: &outcome };
            let mut written = Vec::new();
            write(session, number, line, &outcome, &mut written);
            prop_assert_eq!(&written, &postcard::to_extend(&reply, Vec::new()).unwrap());
            prop_assert_eq!(read(&written), Some((reply, &b""[..])));
        }

        #[test]
        fn what_is_read_is_what_postcard_reads(
            start in prop_oneof![Just(REPLY), any::<u8>()],
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0x80), 0..3_u8], 0..50),
        ) {
            let bytes = [&[start], &bytes[..]].concat();
            if let Some(read) = read(&bytes) {
                prop_assert_eq!(Ok(read), postcard::take_from_bytes(&bytes));
            }
        }
    }
}
