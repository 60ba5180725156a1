//! One block of `Movies.txt`: `ITEM <n>` and lines `Key=Value`, with all the dirt they have.
//!
//! A key may repeat, one line a value; the first `=` separates, so a value may hold more; line ends
//! may be CRLF; bytes that are not UTF-8 are Windows-1252, judged value by value; lines without `=`
//! carry nothing. The keys stand in an order, and the values of one together: a key that comes again
//! after something else is the mark of an item whose `ITEM` line was lost.

use super::Rejection;
use dataflows::events::{CatalogContent, CatalogItem, Event};
use dataflows::shop::events::shared::BAD_ITEM_BLOCK;
use dataflows::shop::price::{list_price, reason};
use dataflows::wire::bounds::{self, TEXT_BYTES_MAX};
use dataflows::wire::scalar::short;
use dataflows::wire::texts::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What may stand before the first word of a line and is not seen: blanks of all kinds, and the byte order
/// marks of files that were put together.
const UNSEEN: [&[u8]; 9] =
    [b" ", b"\t", b"\r", b"\x0B", b"\x0C", b"\xEF\xBB\xBF", b"\xE2\x80\x8B", b"\xC2\xA0", b"\xA0"];

/// The first word of an item's line, in any case.
const ITEM: &[u8] = b"ITEM";

fn without_unseen(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = UNSEEN.iter().find_map(|unseen| line.strip_prefix(*unseen)) {
        line = rest;
    }
    line
}

/// Whether nothing is seen of a line.
pub fn is_blank(line: &[u8]) -> bool {
    without_unseen(line).is_empty()
}

/// What follows the word `ITEM`, if a line begins with that.
fn after_item(line: &[u8]) -> Option<&[u8]> {
    let (word, rest) = without_unseen(line).split_at_checked(ITEM.len())?;
    // `ITEMS` is another word; `ITEM5` is one with its blank lost.
    let ends = rest.first().is_none_or(|next| !next.is_ascii_alphabetic() && *next != b'_');
    (word.eq_ignore_ascii_case(ITEM) && ends).then_some(rest)
}

/// Whether a line begins an item, well or badly: its first word is `ITEM`, and it is no value. A key may begin
/// with that word (`Item Weight=3`), but not go on with a number: `ITEM 5=` is an item's line that was damaged.
pub fn starts_item(line: &[u8]) -> bool {
    after_item(line).is_some_and(|rest| {
        without_unseen(rest).first().is_some_and(u8::is_ascii_digit) || memchr::memchr(b'=', rest).is_none()
    })
}

/// The number in an item's line, `ITEM <number>`.
fn number(head: &[u8]) -> Option<u64> {
    let rest = after_item(head)?;
    let digits = without_unseen(rest);
    let number = text(digits);
    let number = number.trim_end_matches(|end: char| end.is_whitespace() || matches!(end, '\u{feff}' | '\u{200b}'));
    // A sign or a point would be a number too, but no item's.
    let plain = digits.len() < rest.len() && number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| number.parse().ok()).flatten()
}

/// The event of a block; and whether an e-mail address came in clear, and was masked. The version is as of `as_of`, in milliseconds.
///
/// # Errors
/// As of [`parse`], or if there is too much in it.
pub fn decode(block: &[u8], as_of: i64) -> Result<(Event, bool), Rejection> {
    parse(block, as_of)?.accepted()
}

/// Parses a block. The version is as of `as_of`, in milliseconds.
///
/// # Errors
/// If the block does not begin with an item and its number, or holds what looks like two items.
pub fn parse(block: &[u8], as_of: i64) -> Result<CatalogItem, Rejection> {
    let mut lines = block.split(|byte| *byte == b'\n');
    let head = lines.next().unwrap_or_default();
    let Some(number) = number(head) else {
        let head = text(head.trim_ascii());
        let shown = short(&head);
        let detail = format!("`{shown}` does not begin an item: expected `ITEM <number>`");
        return Err(Rejection::new(BAD_ITEM_BLOCK, detail));
    };
    let values = values(lines, number)?;
    Ok(CatalogItem {
        timestamp: as_of,
        item_id: number.to_string().as_str().into(),
        content: content(values),
        decided: None,
    })
}

/// The values of each key.
fn values<'a>(lines: impl Iterator<Item = &'a [u8]>, number: u64) -> Result<BTreeMap<String, Vec<String>>, Rejection> {
    let mut values = BTreeMap::<String, Vec<String>>::new();
    // The key of the line before, if that had one.
    let mut before: Option<String> = None;
    let mut spaced = None;
    for line in lines {
        let line = text(without_unseen(line).trim_ascii_end());
        let value = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        // In a file whose every line is followed by an empty one, those say nothing.
        let spaced = *spaced.get_or_insert(line.is_empty());
        let Some((key, value)) = value.filter(|(key, _)| !key.is_empty()) else {
            before = before.filter(|_| spaced && line.is_empty());
            continue;
        };
        let bytes = key.len().max(value.len());
        if bytes > TEXT_BYTES_MAX {
            bounds::of_text(&short(key), bytes)?;
        }
        let of_key = match values.get_mut(key) {
            Some(_) if before.as_deref() != Some(key) => return Err(comes_again(key, number)),
            Some(of_key) => of_key,
            None => values.entry(key.to_owned()).or_default(),
        };
        if !value.is_empty() {
            of_key.push(value.to_owned());
        }
        if before.as_deref() != Some(key) {
            before = Some(key.to_owned());
        }
    }
    values.retain(|_, of_key| !of_key.is_empty());
    Ok(values)
}

fn comes_again(key: &str, number: u64) -> Rejection {
    let shown = short(key);
    let detail = format!(
        "`{shown}` comes again after other lines: the block of item {number} holds two items, and the `ITEM <number>` \
         line between them is missing or damaged; neither was taken"
    );
    Rejection::new(BAD_ITEM_BLOCK, detail)
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
        for block in [
            &b"ITEM twelve\nTitle=x"[..],
            b"Title=x",
            b"ITEM 99999999999999999999999",
            b"ITEM ",
            b"",
            b"ITEM 6:\nTitle=x",
            b"ITEM5",
            b"ITEM +5",
            b"ITEM 5=x",
            b"ITEM: 5",
            b"ITEM 5 6",
        ] {
            let rejection = parse(block, 7).expect_err("no item");
            let head =
                String::from_utf8_lossy(block.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
            assert_eq!(rejection.reason, BAD_ITEM_BLOCK);
            assert!(rejection.detail.contains(&format!("`{}` does not begin", head.trim())), "{}", rejection.detail);
        }
    }

    #[test]
    fn an_items_line_is_known_by_its_first_word() {
        for (head, number) in [
            (&b"ITEM 3"[..], "3"),
            (b" ITEM 3", "3"),
            (b"item 4", "4"),
            (b"Item\t5", "5"),
            (b"ITEM  2 ", "2"),
            (b"ITEM 007\r", "7"),
            (b"\xEF\xBB\xBFITEM 1", "1"),
            (b"\xC2\xA0ITEM\xC2\xA08\xC2\xA0", "8"),
            (b"\xA0ITEM\xA09\xA0", "9"),
        ] {
            assert!(starts_item(head), "{head:?}");
            assert_eq!(parse(head, 7).map(|item| item.item_id), Ok(number.into()), "{head:?}");
        }
        for head in
            [&b"ITEM"[..], b"ITEM 6:", b"ITEM: 6", b"ITEM5", b"ITEM#5", b"ITEM 5=x", b"ITEM 5 Title=x", b"item?"]
        {
            assert!(starts_item(head) && parse(head, 7).is_err(), "{head:?}");
        }
        for value in
            [&b"Title=ITEM 5 = x"[..], b"Item Weight=3", b"ITEM=5", b"ITEMS 5", b"Items=5", b"ITEM_5", b"", b"ITE"]
        {
            assert!(!starts_item(value), "{value:?}");
        }
    }

    /// Of two items whose `ITEM` line in between was lost nothing is taken; values of one key stand together.
    #[test]
    fn a_key_that_comes_again_is_two_items() {
        for block in [
            &b"ITEM 1\nListPrice=1USD$0.01\nTitle=A\nListPrice=2USD$0.02\nTitle=B"[..],
            b"ITEM 1\nTitle=A\n\nTitle=B",
            b"ITEM 1\nTitle=A\nITEMX 2\nTitle=B",
            b"ITEM 1\nTitle=\nStudio=S\nTitle=B",
            b"ITEM 1\n\nActor=A\n\nTitle=A\n\nActor=B",
        ] {
            let rejection = parse(block, 7).expect_err("two items");
            assert_eq!(rejection.reason, BAD_ITEM_BLOCK);
            assert!(rejection.detail.contains("comes again"), "{}", rejection.detail);
        }
        let actors = |block: &[u8]| parsed(block).actors;
        assert_eq!(actors(b"ITEM 1\nActor=A\nActor=\n\xEF\xBB\xBFActor=B\n Actor=C\nTitle=T"), r#"["A","B","C"]"#);
        assert_eq!(actors(b"ITEM 1\n\nActor=A\n\nActor=B\n\nTitle=T\n\n"), r#"["A","B"]"#);
        assert_eq!(actors(b"ITEM 1\r\nActor=A\r\nActor=B\r\nTitle=T\r\n\r\n"), r#"["A","B"]"#);
        assert_eq!(actors(b"ITEM 1\nTitle=T\nActor=A\n\nLabel=L"), r#"["A"]"#);
    }
}
