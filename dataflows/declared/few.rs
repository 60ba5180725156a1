//! Numbers of which there nearly always are a few: these need no allocation.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};

/// A list. As long as it is short, it stands where it is owned.
#[derive(Clone)]
pub struct Few<T>(Kind<T>);

#[derive(Clone)]
enum Kind<T> {
    Here(u8, [T; HERE]),
    Elsewhere(Vec<T>),
}

/// Eight words with what stands in front of them. What the metrics of a shop count and sum, and the steps of a funnel, are
/// as many or fewer.
const HERE: usize = 7;

impl<T: Copy + Default> Few<T> {
    /// So many times the same.
    pub fn of(value: T, times: usize) -> Few<T> {
        if times > HERE {
            return Few(Kind::Elsewhere(vec![value; times]));
        }
        let mut here = [T::default(); HERE];
        here[..times].fill(value);
        Few(Kind::Here(times as u8, here))
    }

    /// Puts one in, in front of the one at a place.
    pub fn insert(&mut self, at: usize, value: T) {
        match &mut self.0 {
            Kind::Here(length, here) if usize::from(*length) < HERE => {
                here.copy_within(at..usize::from(*length), at + 1);
                here[at] = value;
                *length += 1;
            }
            Kind::Here(_, here) => {
                let mut all = here.to_vec();
                all.insert(at, value);
                self.0 = Kind::Elsewhere(all);
            }
            Kind::Elsewhere(all) => all.insert(at, value),
        }
    }

    /// Leaves the first so many.
    pub fn truncate(&mut self, to: usize) {
        match &mut self.0 {
            Kind::Here(length, _) => *length = (*length).min(to.try_into().unwrap_or(u8::MAX)),
            Kind::Elsewhere(all) => all.truncate(to),
        }
    }
}

impl<T: Copy + Default> Default for Few<T> {
    fn default() -> Few<T> {
        Few(Kind::Here(0, [T::default(); HERE]))
    }
}

impl<T: Copy + Default> From<&[T]> for Few<T> {
    fn from(all: &[T]) -> Few<T> {
        let Some(length) = u8::try_from(all.len()).ok().filter(|_| all.len() <= HERE) else {
            return Few(Kind::Elsewhere(all.to_vec()));
        };
        let mut here = [T::default(); HERE];
        here[..all.len()].copy_from_slice(all);
        Few(Kind::Here(length, here))
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Kind::Here(length, here) => &here[..usize::from(*length)],
            Kind::Elsewhere(all) => all,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Kind::Here(length, here) => &mut here[..usize::from(*length)],
            Kind::Elsewhere(all) => all,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: Debug> Debug for Few<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_what_a_list_is() {
        let mut seed = 7_usize;
        let mut dice = |sides: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let (mut few, mut list) = (Few::default(), Vec::new());
        for value in 0..20_000 {
            match dice(8) {
                0 => {
                    let to = dice(2 * HERE);
                    few.truncate(to);
                    list.truncate(to);
                }
                1 => {
                    let times = dice(2 * HERE);
                    (few, list) = (Few::of(value, times), vec![value; times]);
                }
                2 => few = Few::from(&list[..]),
                3 if !list.is_empty() => {
                    let at = dice(list.len());
                    (few[at], list[at]) = (value, value);
                }
                _ => {
                    let at = dice(list.len() + 1);
                    few.insert(at, value);
                    list.insert(at, value);
                }
            }
            assert_eq!((&*few, format!("{few:?}")), (&list[..], format!("{list:?}")));
            assert_eq!(few, Few::from(&list[..]));
        }
    }
}
