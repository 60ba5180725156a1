//! The bounds of what the shop's events may say.

use super::Naming;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The bounds of what is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which of the others nobody said.
    pub profile: Profile,
    /// Smallest and largest `user_id`.
    pub user_id: (u64, u64),
    /// Smallest and largest `age`, in years.
    pub age: (u32, u32),
    /// Languages, in addition to none.
    pub preferred_language: Words,
    /// Methods of payment.
    pub payment_method: Words,
    /// What may be the id of a cart.
    pub cart_id: CartIds,
    /// What records call events and fields.
    pub naming: Naming,
}

/// Bounds of all kinds at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Those of the shop that is simulated.
    #[default]
    Strict,
    /// Whatever can be kept.
    Open,
}

/// What may be the id of a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CartIds {
    /// UUIDs.
    Uuid,
    /// Any text, UUIDs too.
    Text,
}

/// What a text may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// Any that is short.
    Any,
    /// One of these.
    Of(Vec<String>),
}

/// No text that may be any has more bytes.
pub const WORD_BYTES_MAX: usize = 64;

/// As it is written.
const ANY: &str = "any";

impl Words {
    /// These.
    pub fn of(words: &[&str]) -> Words {
        Words::Of(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Those that are named.
    pub fn named(&self) -> &[String] {
        match self {
            Words::Any => &[],
            Words::Of(words) => words,
        }
    }

    /// Whether it may be this.
    pub fn takes(&self, word: &str) -> bool {
        match self {
            Words::Any => word.len() <= WORD_BYTES_MAX && !word.contains('\0'),
            Words::Of(words) => words.iter().any(|known| known == word),
        }
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Words::Any => serializer.serialize_str(ANY),
            Words::Of(words) => words.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Words, D::Error> {
        struct AnyOrThese;
        impl<'de> Visitor<'de> for AnyOrThese {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`any`, or a list of texts such as [\"a\", \"b\"]")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
                // Not repeated: it may be something else, and secret.
                let why = || {
                    E::custom(
                        "is a text that means nothing here; expected `any`, or a list of texts such as [\"a\", \"b\"]",
                    )
                };
                if text == ANY { Ok(Words::Any) } else { Err(why()) }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Words::Of(words))
            }
        }
        deserializer.deserialize_any(AnyOrThese)
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::of(Profile::Strict)
    }
}

impl Rules {
    /// Those of a profile.
    pub fn of(profile: Profile) -> Rules {
        match profile {
            Profile::Strict => Rules {
                profile,
                user_id: (1, 1_000_000),
                age: (18, 95),
                preferred_language: Words::of(&["eng", "geo"]),
                payment_method: Words::of(&["Cash", "Card"]),
                cart_id: CartIds::Uuid,
                naming: Naming::default(),
            },
            Profile::Open => Rules {
                profile,
                user_id: (0, i64::MAX as u64),
                // Formats of 32 bits have a sign.
                age: (0, i32::MAX as u32),
                preferred_language: Words::Any,
                payment_method: Words::Any,
                cart_id: CartIds::Text,
                naming: Naming::default(),
            },
        }
    }
}
