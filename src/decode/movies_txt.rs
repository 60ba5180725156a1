//! One block of `Movies.txt`: `ITEM <n>` and lines `Key=Value`, with all the dirt they have.
//!
//! A key may repeat, one line a value; the first `=` separates, so a value may hold more; line ends
//! may be CRLF; bytes that are not UTF-8 are Windows-1252, judged value by value; lines without `=`
//! carry nothing.

use super::price::{list_price, reason};
use super::{Reason, Rejection};
use dataflows::events::{CatalogContent, CatalogItem};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whether a line begins an item, well or badly.
pub fn starts_item(line: &[u8]) -> bool {
    line.starts_with(b"ITEM ") && !line.contains(&b'=')
}

/// Parses a block. The version is as of `as_of`, in milliseconds.
///
/// # Errors
/// If the block does not begin with an item and its number.
pub fn parse(block: &[u8], as_of: i64) -> Result<CatalogItem, Rejection> {
    let block = block.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(block);
    let mut lines = block.split(|byte| *byte == b'\n').map(|line| text(line.trim_ascii()));
    let head = lines.next().unwrap_or_default();
    let number = head.strip_prefix("ITEM ").map(str::trim).filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else {
        let shown: String = head.chars().take(80).collect();
        let detail = format!("`{shown}` does not begin an item: expected `ITEM <number>`");
        return Err(Rejection::new(Reason::BadItemBlock, detail));
    };
    let mut values = BTreeMap::<String, Vec<String>>::new();
    for line in lines {
        if let Some((key, value)) =
            line.split_once('=').filter(|(key, value)| !key.trim().is_empty() && !value.trim().is_empty())
        {
            values.entry(key.trim().to_owned()).or_default().push(value.trim().to_owned());
        }
    }
    Ok(CatalogItem { timestamp: as_of, item_id: number.to_string().as_str().into(), content: content(values) })
}

/// Bytes that are not UTF-8 are Windows-1252: nothing is lost.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

fn content(mut values: BTreeMap<String, Vec<String>>) -> CatalogContent {
    let prices = values.get("ListPrice").cloned().unwrap_or_default();
    let price = match prices.as_slice() {
        [] => Err(reason::ABSENT),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => list_price(first),
        _ => Err(reason::SEVERAL),
    };
    let mut list = |key: &str| json(&values.remove(key).unwrap_or_default());
    let (directors, actors, languages) = (list("Director"), list("Actor"), list("Languages"));
    // Of a key with one meaning the first value is shown; if there are more, all are kept.
    let mut one = |key: &str| match values.get(key).map(Vec::as_slice) {
        Some([_]) => values.remove(key).and_then(|mut only| only.pop()),
        Some([first, ..]) => Some(first.clone()),
        _ => None,
    };
    CatalogContent {
        title: one("Title").unwrap_or_default(),
        price_cents: price.ok(),
        price_reason: price.err().map(str::to_owned),
        list_price_raw: one("ListPrice"),
        product_group: one("ProductGroup"),
        binding: one("Binding"),
        genre: one("Genre"),
        studio: one("Studio"),
        brand: one("Brand"),
        release_date: one("ReleaseDate"),
        audience_rating: one("AudienceRating"),
        running_time: one("RunningTime"),
        directors,
        actors,
        languages,
        attributes: json(&values),
    }
}

/// Canonical JSON: lists in their order, keys sorted.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("lists and maps of text are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(block: &[u8]) -> CatalogContent {
        parse(block, 7).expect("a good block").content
    }

    #[test]
    fn every_kind_of_dirt() {
        let block = b"ITEM 12\r\nActor=A\r\nActor=B\r\nArtist=Beyonc\xe9\r\nFormat=a=b\r\nGenre=Drama\r\nGenre=War\r\n\
            ListPrice=129999USD$1,299.99\r\nnothing here\r\n=x\r\nSize=\r\nTitle=\xc3\x89t\xc3\xa9\t<b>1</b> \r\n";
        let item = parse(block, 7).expect("a good block");
        assert_eq!((item.item_id, item.timestamp), ("12".into(), 7));
        let content = item.content;
        assert_eq!(content.title, "Été\t<b>1</b>");
        assert_eq!((content.price_cents, content.price_reason), (Some(129_999), None));
        assert_eq!(content.actors, r#"["A","B"]"#);
        assert_eq!(content.genre.as_deref(), Some("Drama"));
        assert_eq!(content.attributes, r#"{"Artist":["Beyoncé"],"Format":["a=b"],"Genre":["Drama","War"]}"#);
    }

    #[test]
    fn no_price_has_a_reason() {
        assert_eq!(parsed(b"ITEM 1\nTitle=x").price_reason.as_deref(), Some("absent"));
        assert_eq!(
            parsed(b"ITEM 1\nListPrice=1USD$0.01\nListPrice=2USD$0.02").price_reason.as_deref(),
            Some("several")
        );
        assert_eq!(parsed(b"ITEM 1\nListPrice=1USD$0.01\nListPrice=1USD$0.01").price_cents, Some(1));
    }

    #[test]
    fn a_block_without_a_number_is_rejected() {
        for block in [&b"ITEM twelve\nTitle=x"[..], b"Title=x", b"ITEM 99999999999999999999999", b"ITEM ", b""] {
            assert_eq!(parse(block, 7).map_err(|rejection| rejection.reason), Err(Reason::BadItemBlock));
        }
    }
}
