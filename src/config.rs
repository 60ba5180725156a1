//! x
#[allow(missing_docs)]
pub mod span {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    pub fn serialize<S: Serializer>(ms: &i64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&humantime::format_duration(std::time::Duration::from_millis(*ms as u64)).to_string())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
        let text = String::deserialize(d)?;
        humantime::parse_duration(&text).map(|d| d.as_millis() as i64).map_err(D::Error::custom)
    }
}
