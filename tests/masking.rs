//! No e-mail address is stored: however it is written, in whatever text it stands, and nothing else changes.

mod everywhere;

use deltamart::decode::mask;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Ways to write an `@`.
pub const ATS: [&str; 14] = [
    "@",
    "＠",
    "﹫",
    "\\u0040",
    "%40",
    "=40",
    "&#64;",
    "&#x40;",
    "&commat;",
    "\\\\u0040",
    "%2540",
    "&amp;#64;",
    "\\u0026#64;",
    "%26commat%3B",
];

/// Ways to write a `.` between the labels of a domain.
pub const DOTS: [&str; 7] = [".", "．", "。", "%2E", "\\u002e", "&#46;", "%252e"];

fn masked(text: &str) -> String {
    mask::text(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn an_address_is_masked_however_it_is_written() {
    for at in ATS {
        for dot in DOTS {
            for local in ["jane.doe", "j", "jane+tag", "иван", "o_neil", "jane%2Edoe", "x".repeat(64).as_str()] {
                for (before, behind) in [
                    ("", ""),
                    ("mail to ", ", please"),
                    ("<", ">"),
                    ("user=", "&x=1"),
                    ("\"", "\""),
                    ("mailto:", "?subject=x"),
                    ("{\"title\":\"", "\"}"),
                    ("(", ")"),
                    ("x|", "|y"),
                    ("\n", "\r\n"),
                ] {
                    let address = format!("mail{dot}example");
                    let text = format!("{before}{local}{at}{address}{behind}");
                    let expected = format!("{before}{}{at}{address}{behind}", "*".repeat(local.len()));
                    assert_eq!(masked(&text), expected, "{text}");
                    assert_eq!(masked(&expected), expected, "masked twice");
                }
            }
        }
    }
}

#[test]
fn what_is_no_address_stands() {
    for text in [
        "M@STERS",
        "M@STERS OF THE UNIVERSE",
        "a@b",
        "by @jane",
        "@",
        "@@",
        "left-pad@1.3.0",
        "SKU@7",
        "@mail.example",
        "5 @ 3.50",
        "jane@localhost",
        "a@b.c",
        "a@.com",
        "a@b..com",
        "****@mail.example",
        "x = 40",
        "100%40",
        "&#64;",
        "jane at mail.example",
        "a@b.1c",
        "ünï@cödé",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn what_else_a_local_part_may_be() {
    for (text, expected) in [
        ("\"john doe\"@mail.example", "\"********\"@mail.example"),
        (r#"{"e":"\"john doe\"@mail.example"}"#, r#"{"e":"\"********\"@mail.example"}"#),
        ("jane@xn--bcher-kva.xn--p1ai", "****@xn--bcher-kva.xn--p1ai"),
        ("jane@bücher.example", "****@bücher.example"),
        ("jane@mail.example.", "****@mail.example."),
        ("jane@mail.example-x", "****@mail.example-x"),
        ("?id=42@mail.example", "?id=**@mail.example"),
        ("hello%20jane%40mail.example", "hello%20****%40mail.example"),
        ("one@a.example,two@b.example", "***@a.example,***@b.example"),
        ("one@two@b.example", "*******@b.example"),
        ("jane&#46;doe@mail.example", "************@mail.example"),
        (r"caf\u00e9@mail.example", r"*********@mail.example"),
        ("j***@mail.example", "****@mail.example"),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
    // Beyond what a local part may have nothing is taken for one; no escape is cut in two.
    let long = format!("{}{}@mail.example", r"\u00e9".repeat(3), "x".repeat(63));
    assert_eq!(masked(&long), format!(r"\u00e9\u00e9{}@mail.example", "*".repeat(69)));
}

#[test]
fn a_field_that_is_to_be_an_address_is_masked_whatever_it_is() {
    for (came, stored, was_clear) in [
        ("****@mail.example", "****@mail.example", false),
        ("jane.doe@mail.example", "****@mail.example", true),
        ("jane", "****", true),
        ("jane@localhost", "****", true),
        ("Jane <jane@mail.example>", "****", true),
        ("jane@mail.example, and her phone is 555", "****", true),
        ("****@localhost", "****", false),
        ("****", "****", false),
        ("", "", false),
    ] {
        assert_eq!(mask::field(came.into()), (stored.to_owned(), was_clear), "{came}");
    }
}

/// Text of two bytes to a character, in the midst of anything, at any place.
#[test]
fn wide_text_is_text() {
    for big_endian in [false, true] {
        for before in [&b""[..], b"\x01", b"\0\0\0", b"\xFF\xFE", b"\xFE\xFF", b"no text "] {
            let wide = |text: &str| -> Vec<u8> {
                let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
                text.encode_utf16().flat_map(bytes).collect()
            };
            for at in ["@", "＠"] {
                let [came, expected] = ["jané.doe", "********"]
                    .map(|local| [before, &wide(&format!(" {local}{at}mail.example"))].concat());
                let stored = mask::bytes(&came).bytes;
                // What stands before may be taken for a part of it, if a byte is read as half of another character.
                let from = before.len() + 2;
                assert_eq!(stored[from..], expected[from..], "{before:?}, big endian: {big_endian}");
            }
        }
    }
}

/// Whatever the bytes: as many come back, masking twice is masking once, and it takes time by their number.
#[test]
fn any_bytes() {
    let mut dice = ChaCha8Rng::seed_from_u64(13);
    let pieces: [&[u8]; 16] = [
        b"@",
        b"jane",
        b".",
        b"mail",
        b"%40",
        b"\\u0040",
        b"&#64;",
        b"\"",
        b"\\",
        b" ",
        b"\0",
        b"=",
        b"\xFF",
        b"&amp;",
        b"%25",
        "＠".as_bytes(),
    ];
    for _ in 0..20_000 {
        let length = dice.random_range(0..24);
        let bytes: Vec<u8> = (0..length).flat_map(|_| pieces[dice.random_range(0..16)].iter().copied()).collect();
        let once = mask::bytes(&bytes);
        assert_eq!(once.bytes.len(), bytes.len());
        assert_eq!(once.differs, once.bytes != bytes);
        assert_eq!(mask::bytes(&once.bytes).bytes, once.bytes, "{}", String::from_utf8_lossy(&bytes));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let masked = masked(text);
            assert_eq!(masked.len(), text.len());
        }
    }
}
