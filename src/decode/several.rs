//! What stands in a list or an object of JSON, as a message shows it.

use super::Format;
use super::mask;
use crate::shown;
use dataflows::wire::bounds::TEXT_BYTES_MAX;
use dataflows::wire::scalar::first;

/// So much is shown of it.
const SHOWN: usize = 60;

/// What stands in a field of a record, shortened and masked as the record itself is; nothing of a very long record.
pub fn shown(datum: &[u8], field: &str) -> Option<String> {
    if datum.len() > TEXT_BYTES_MAX {
        return None;
    }
    let record: serde_json::Value = serde_json::from_slice(datum).ok()?;
    let value = record.get(field).filter(|value| value.is_array() || value.is_object())?;
    let masked = mask::record(&Format::Json(None), value.to_string().as_bytes()).bytes;
    let text = String::from_utf8_lossy(&masked);
    Some(first(&shown::value(&text), SHOWN).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_on_one_line_and_masked() {
        let said = |value: &str| shown(format!(r#"{{"b":{{"a":[0]}},"a":{value}}}"#).as_bytes(), "a");
        assert_eq!(said("[1, 2]").as_deref(), Some("[1,2]"));
        assert_eq!(said(r#"{"x": null}"#).as_deref(), Some(r#"{"x":null}"#));
        assert_eq!(said(r#"["a\nb\u2028"]"#).as_deref(), Some(r#"["a\nb\u2028"]"#));
        assert_eq!(said(r#"["jane@mail.example"]"#).as_deref(), Some(r#"["****@mail.example"]"#));
        assert_eq!(said(r#"{"masked_email":"jane"}"#).as_deref(), Some(r#"{"masked_email":"****"}"#));
        assert_eq!(said(&format!("[{}]", ["7"; 500].join(","))).map(|text| text.len()), Some(SHOWN + 3));
        assert_eq!(said("7"), None);
        assert_eq!(said(&format!("{:?}", ["x"; TEXT_BYTES_MAX])), None);
    }
}
