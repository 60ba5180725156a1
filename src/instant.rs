//! Instants and durations as people write them in settings: ISO 8601, and `48h`; and the clock.

pub use dataflows::wire::instant::{EXPECTED, parse, show};

/// The wall clock, in milliseconds since 1970.
pub fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The day of an instant, as folders are named: `2026-01-05`.
pub fn day(at: i64) -> String {
    show(at).split('T').next().unwrap_or_default().to_owned()
}

/// For configuration: an instant as ISO 8601 text, or as TOML writes it, without quotes.
pub mod iso {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// The text of either, which may be anything else as well.
    ///
    /// # Errors
    /// If it is neither text nor a date.
    pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected text, or an instant such as 2026-01-05T10:00:00Z")]
        enum Written {
            Text(String),
            Date(toml::value::Datetime),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Date(date) => date.to_string(),
        })
    }

    #[allow(missing_docs, reason = "serde's own shape")]
    pub fn serialize<S: Serializer>(at: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show(*at))
    }

    #[allow(missing_docs, reason = "serde's own shape")]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = text(deserializer)?;
        super::parse(&text).ok_or_else(|| {
            D::Error::custom("is not an instant; expected an instant such as 2026-01-05 or 2026-01-05T10:00:00Z")
        })
    }
}

/// Durations as people write them; milliseconds inside.
pub mod span {
    use serde::{Deserializer, Serializer, de::Error};

    pub use dataflows::wire::instant::span as show;

    #[allow(missing_docs, reason = "serde's own shape")]
    pub fn serialize<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show(*ms))
    }

    pub(crate) fn parse(text: &str) -> Result<i64, String> {
        // Without the text: what is in the wrong place may be a secret.
        let text = text.trim();
        if text.strip_prefix(['-', '\u{2212}']).is_some_and(|rest| humantime::parse_duration(rest.trim()).is_ok()) {
            return Err(NEGATIVE.to_owned());
        }
        // Nothing is as long in every unit.
        if text == "0" {
            return Ok(0);
        }
        let span = humantime::parse_duration(text);
        let span = span.map_err(|_| "is not a duration; write it as 0, 250ms, 2min, 48h or 7d".to_owned())?;
        let ms = i64::try_from(span.as_millis()).ok().filter(|ms| *ms <= MS_MAX);
        ms.ok_or_else(|| "is longer than a thousand years".to_owned())
    }

    const NEGATIVE: &str = "is negative; a duration is 0 or longer, such as 250ms, 2min, 48h or 7d";

    /// Instants are added to durations: they must not leave what a number holds.
    const MS_MAX: i64 = 1000 * 366 * 24 * 3_600_000;

    pub(crate) struct Duration;

    impl serde::de::Visitor<'_> for Duration {
        type Value = String;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a duration with its unit: 250ms, 2min, 48h or 7d; or 0")
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            match number {
                0 => Ok("0".to_owned()),
                1.. => Err(E::invalid_type(serde::de::Unexpected::Signed(number), &self)),
                ..0 => Err(E::custom(NEGATIVE)),
            }
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            match number {
                0 => Ok("0".to_owned()),
                1.. => Err(E::invalid_type(serde::de::Unexpected::Unsigned(number), &self)),
            }
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }

    #[allow(missing_docs, reason = "serde's own shape")]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        parse(&deserializer.deserialize_str(Duration)?).map_err(D::Error::custom)
    }
}

/// An instant as [`show`] writes it: what is none of the calendar as its milliseconds.
pub fn written(text: &str) -> Option<i64> {
    parse(text).or_else(|| text.strip_suffix(" ms")?.parse().ok())
}
