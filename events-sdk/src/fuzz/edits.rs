//! Edits of bytes and of texts.

use std::ops::Range;

use super::Choices;

/// The longest stretch that one edit touches, in bytes.
const STRETCH: usize = 64;

/// Changes, removes or adds some of the bytes within `range`, as a disk, a crash or an editor does.
pub(crate) fn edit(bytes: &mut Vec<u8>, range: Range<usize>, choices: &mut Choices<'_>) {
    let (begin, end) = (range.start.min(bytes.len()), range.end.min(bytes.len()));
    let at = begin + choices.below((end - begin).max(1));
    let stretch = at..(at + 1 + choices.below(STRETCH)).min(end).max(at);
    match choices.below(12) {
        // A flipped bit is the commonest of all.
        0..=6 if at < end => {
            bytes[at] ^= 1 << choices.below(8);
        }
        7 => {
            let value = if choices.yes() { 0 } else { choices.byte() };
            bytes[stretch].fill(value);
        }
        8 => {
            bytes.drain(stretch);
        }
        9 => {
            let noise: Vec<u8> = (0..=choices.below(12)).map(|_| choices.byte()).collect();
            bytes.splice(at..at, noise);
        }
        10 => {
            let copy = bytes[stretch].to_vec();
            let to = begin + choices.below((end - begin).max(1));
            if choices.yes() {
                bytes.splice(to..to, copy);
            } else {
                let end = (to + copy.len()).min(bytes.len());
                let len = end - to;
                bytes[to..end].copy_from_slice(&copy[..len]);
            }
        }
        _ => {
            bytes.truncate(at);
        }
    }
}

/// Changes, removes or adds some of a text, by words that mean something in it.
pub(crate) fn edit_text(text: &mut String, words: &[&'static str], choices: &mut Choices<'_>) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = choices.below(places.len());
    match choices.below(5) {
        0 | 1 => text.insert_str(places[at], choices.word(words)),
        2 => {
            let end = (at + 1 + choices.below(STRETCH)).min(places.len() - 1);
            text.replace_range(places[at.min(end)]..places[end], choices.word(words));
        }
        3 => {
            let end = (at + 1 + choices.below(STRETCH)).min(places.len() - 1);
            let copy = text[places[at.min(end)]..places[end]].repeat(1 + choices.below(4));
            let to = places[choices.below(places.len())];
            text.insert_str(to, &copy);
        }
        _ => {
            let any = char::from_u32(u32::from(choices.byte()) << 8 | u32::from(choices.byte()));
            text.insert(places[at], any.unwrap_or('\u{fffd}'));
        }
    }
}
