//! What stands behind `?`, and names in paths.

use super::answer::Refusal;

/// So many parameters at the most.
const PARAMETERS_MAX: usize = 64;

/// The parameters, in their order.
///
/// # Errors
/// If they are not text, or too many.
pub(super) fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
    let parameter = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let decoded = |text: &str| decoded(&text.replace('+', " "));
        decoded(name)
            .zip(decoded(value))
            .ok_or_else(|| Refusal::wrong("a parameter is no text: expected UTF-8 as `%XX`"))
    };
    let parameters = parts.take(PARAMETERS_MAX + 1).map(parameter).collect::<Result<Vec<_>, _>>()?;
    match parameters.len() > PARAMETERS_MAX {
        true => Err(Refusal::wrong(format!("there are more than {PARAMETERS_MAX} parameters"))),
        false => Ok(parameters),
    }
}

/// Text as it was before `%XX`; nothing if it is none.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || Some(char::from(rest.next()?).to_digit(16)? as u8);
            bytes.push(digit()? << 4 | digit()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let all = parameters(Some("a=1&b=x%20y%3D+z&&c&a=%e7%8c%ab")).expect("text");
        let expected = [("a", "1"), ("b", "x y= z"), ("c", ""), ("a", "猫")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(parameters(None).expect("none").is_empty());
        for wrong in ["a=%", "a=%4", "%zz=1", "a=%ff"] {
            assert!(parameters(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(parameters(Some(&"a&".repeat(65))).is_err());
    }
}
