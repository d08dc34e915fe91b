//! Which events are processed: a set of levels for every category.
//!
//! Owns the representation, one byte of levels per category number, and the question that every emit asks. Guarantees
//! that asking costs a load, a shift and a mask. When the filter changes is the runtime's business: it takes
//! [`Filter::bits`] and keeps them where the emitting threads look.

use std::fmt;

use crate::{Category, Level};

/// How many category numbers have a set of levels of their own.
///
/// 64 bytes are one cache line, and the schema has ten categories. Greater numbers share the set of number 0, which no
/// category uses.
pub const FILTER_CATEGORIES: usize = 64;

/// Which events are processed: for every category a set of levels.
///
/// The filter is asked before anything is encoded: an event that it does not allow costs next to nothing and is not
/// accepted, so it appears in no account but its own counter.
///
/// ```
/// use events_sdk::{Category, Filter, Level};
///
/// let filter = Filter::from_min_level(Level::Info)
///     .with_category(Category::Storage, Level::Debug)
///     .without_category(Category::System);
///
/// assert!(filter.allows(Category::Storage.number() as u8, Level::Debug));
/// assert!(!filter.allows(Category::System.number() as u8, Level::Critical));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Bit n of byte c: whether events of category number c and of severity n are processed.
    bits: [u8; FILTER_CATEGORIES],
}

impl Filter {
    /// These levels, in every category.
    pub fn from_levels(levels: impl IntoIterator<Item = Level>) -> Self {
        let set = levels.into_iter().fold(0, |set, level| set | bit(level));
        Self { bits: [set; FILTER_CATEGORIES] }
    }

    /// This level and everything above it, in every category.
    pub fn from_min_level(min: Level) -> Self {
        Self { bits: [from(min); FILTER_CATEGORIES] }
    }

    /// Nothing at all.
    pub fn none() -> Self {
        Self { bits: [0; FILTER_CATEGORIES] }
    }

    /// The same filter, but in this category `min` and everything above it.
    #[must_use]
    pub fn with_category(mut self, category: Category, min: Level) -> Self {
        self.bits[slot(category)] = from(min);
        self
    }

    /// The same filter, but nothing of this category.
    #[must_use]
    pub fn without_category(mut self, category: Category) -> Self {
        self.bits[slot(category)] = 0;
        self
    }

    /// The same filter, but nothing of any category whose number is not among these.
    ///
    /// Numbers, because a schema may bring categories of its own.
    #[must_use]
    pub fn with_only_categories(mut self, numbers: impl IntoIterator<Item = u8>) -> Self {
        let mut kept = [false; FILTER_CATEGORIES];
        for number in numbers {
            kept[index(number)] = true;
        }
        for (set, kept) in self.bits.iter_mut().zip(kept) {
            if !kept {
                *set = 0;
            }
        }
        self
    }

    /// Whether an event of this category number and level is processed.
    #[inline]
    pub const fn allows(&self, category_number: u8, level: Level) -> bool {
        self.bits[index(category_number)] & bit(level) != 0
    }

    /// The sets: bit n of byte c says whether events of category number c and of [severity](Level::severity) n are
    /// processed. Byte 0 speaks for every number from [`FILTER_CATEGORIES`] on.
    pub const fn bits(&self) -> [u8; FILTER_CATEGORIES] {
        self.bits
    }

    /// The filter with these sets, as [`Filter::bits`] gives them.
    pub const fn from_bits(bits: [u8; FILTER_CATEGORIES]) -> Self {
        Self { bits }
    }

    fn levels_at(&self, index: usize) -> impl Iterator<Item = Level> + use<> {
        let set = self.bits[index];
        Level::ALL.iter().copied().filter(move |level| set & bit(*level) != 0)
    }
}

impl Default for Filter {
    /// INFO and above, in every category.
    fn default() -> Self {
        Self::from_min_level(Level::Info)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |index| self.levels_at(index).map(Level::name).collect::<Vec<_>>().join(" ");
        let mut map = f.debug_map();
        for category in Category::ALL {
            map.entry(&format_args!("{}", category.name()), &names(slot(*category)));
        }
        map.entry(&format_args!("others"), &names(0)).finish()
    }
}

/// The byte that speaks for a category number.
const fn index(category_number: u8) -> usize {
    let index = category_number as usize;
    if index < FILTER_CATEGORIES { index } else { 0 }
}

fn slot(category: Category) -> usize {
    index(u8::try_from(category.number()).unwrap_or(0))
}

const fn bit(level: Level) -> u8 {
    // Severities run from 1 to 7, one per level, so each has a bit of its own; a test holds the generator to it.
    1_u8.wrapping_shl(level.severity() as u32)
}

fn from(min: Level) -> u8 {
    Level::ALL.iter().filter(|level| **level >= min).fold(0, |set, level| set | bit(*level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_a_bit_of_its_own() {
        let all = Level::ALL.iter().fold(0, |set, level| set | bit(*level));
        assert_eq!(all.count_ones() as usize, Level::ALL.len());
        assert!(Level::ALL.iter().all(|level| level.severity() < 8));
    }

    #[test]
    fn every_category_has_a_byte_of_its_own() {
        let mut slots: Vec<usize> = Category::ALL.iter().map(|category| slot(*category)).collect();
        slots.dedup();
        assert_eq!(slots.len(), Category::ALL.len());
        assert!(!slots.contains(&0));
    }

    #[test]
    fn a_minimum_level_lets_itself_and_everything_above_pass() {
        let filter = Filter::from_min_level(Level::Error);
        let passing: Vec<_> = Level::ALL.iter().copied().filter(|level| filter.allows(2, *level)).collect();
        assert_eq!(passing, [Level::Error, Level::Critical, Level::Essential]);
    }

    #[test]
    fn a_set_of_levels_may_have_gaps() {
        let filter = Filter::from_levels([Level::Debug, Level::Critical]);
        let passing: Vec<_> = Level::ALL.iter().copied().filter(|level| filter.allows(63, *level)).collect();
        assert_eq!(passing, [Level::Debug, Level::Critical]);
    }

    #[test]
    fn a_category_differs_without_touching_its_neighbours() {
        let filter = Filter::default()
            .with_category(Category::Storage, Level::Critical)
            .without_category(Category::DataTransfer);
        let storage = Category::Storage.number() as u8;
        let transfer = Category::DataTransfer.number() as u8;
        assert!(!filter.allows(storage, Level::Error));
        assert!(filter.allows(storage, Level::Essential));
        assert!(!filter.allows(transfer, Level::Essential));
        assert!(filter.allows(Category::System.number() as u8, Level::Info));
        assert!(!filter.allows(Category::System.number() as u8, Level::Debug));
    }

    #[test]
    fn only_the_chosen_categories_pass() {
        let filter = Filter::default().with_only_categories([1, 40]);
        assert!(filter.allows(1, Level::Info) && filter.allows(40, Level::Info));
        assert!(!filter.allows(2, Level::Essential) && !filter.allows(200, Level::Essential));
    }

    #[test]
    fn numbers_beyond_the_table_share_the_set_of_number_zero() {
        assert!(Filter::default().allows(64, Level::Info) && Filter::default().allows(255, Level::Info));
        assert!(!Filter::none().allows(64, Level::Essential));
    }

    #[test]
    fn the_bits_carry_the_whole_filter() {
        let filter = Filter::from_levels([Level::Warn]).with_category(Category::System, Level::Trace);
        assert_eq!(Filter::from_bits(filter.bits()), filter);
    }

    #[test]
    fn debug_output_names_levels_and_not_bits() {
        let text =
            format!("{:?}", Filter::from_min_level(Level::Critical).without_category(Category::System));
        assert!(
            text.contains(r#"system: """#) && text.contains(r#"storage: "critical essential""#),
            "{text}"
        );
    }
}
