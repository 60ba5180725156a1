//! Where on a line one JSON object ends and the next begins: `}{`, `} {` and `},{` are made by programs that
//! forgets the line ends, or joins files without them.

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet: the text may go on. If it does not, the line is this long, without what separates
    /// objects.
    Rest(usize),
    /// An object ends here, and another one begins there.
    Next(usize, usize),
}

/// Whether a line may have several objects, or something behind its object. Cheap, and never wrong to say yes.
pub(super) fn may_be_parted(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let begins = |brace: usize| {
        let mut behind = line[brace + 1..].iter().skip_while(|byte| separates(**byte));
        behind.next() == Some(&b'{')
    };
    line.last().is_some_and(|last| *last != b'}') || memchr::memchr_iter(b'}', line).any(begins)
}

/// What stands between objects. The bytes of a byte order mark too: a file that began with one was joined here.
fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b',' | 0xEF | 0xBB | 0xBF)
}

/// How far a line was looked at. It can be looked at in parts: what is known stays known.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    at: usize,
    inside: Inside,
    depth: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Inside {
    /// Before the first object.
    #[default]
    Nothing,
    /// In an object, and in no text in it.
    Object,
    /// In a text.
    Text,
    /// Behind a backslash in a text.
    Escape,
    /// Behind an object that ended here.
    Behind(usize),
    /// No object, or an object and something else: not ours to part.
    Other,
}

impl Scan {
    /// Looks at a line that begins so; what was looked at before has not changed.
    pub(super) fn look(&mut self, line: &[u8]) -> Found {
        while let Some(rest) = line.get(self.at..).filter(|rest| !rest.is_empty()) {
            match self.inside {
                Inside::Nothing => match rest[0] {
                    b' ' | b'\t' | b'\r' => self.at += 1,
                    // Its brace is counted below.
                    b'{' => self.inside = Inside::Object,
                    _ => self.inside = Inside::Other,
                },
                Inside::Object => {
                    let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}')) else {
                        self.at += rest.len();
                        continue;
                    };
                    self.at += found + 1;
                    match rest[found] {
                        b'"' => self.inside = Inside::Text,
                        b'{' => self.depth += 1,
                        _ => {
                            self.depth -= 1;
                            if self.depth == 0 {
                                self.inside = Inside::Behind(self.at);
                            }
                        }
                    }
                }
                Inside::Text => match memchr::memchr2(b'"', b'\\', rest) {
                    None => self.at += rest.len(),
                    Some(found) => {
                        self.at += found + 1;
                        self.inside = if rest[found] == b'"' { Inside::Object } else { Inside::Escape };
                    }
                },
                Inside::Escape => (self.at, self.inside) = (self.at + 1, Inside::Text),
                Inside::Behind(end) => match rest[0] {
                    b'{' => return Found::Next(end, self.at),
                    byte if separates(byte) => self.at += 1,
                    _ => self.inside = Inside::Other,
                },
                Inside::Other => self.at += rest.len(),
            }
        }
        match self.inside {
            Inside::Behind(end) => Found::Rest(end),
            Inside::Nothing | Inside::Object | Inside::Text | Inside::Escape | Inside::Other => Found::Rest(line.len()),
        }
    }

    /// The first bytes of the line are gone.
    pub(super) fn drop_first(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
        if let Inside::Behind(end) = &mut self.inside {
            *end = end.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mut line: &str) -> Vec<&str> {
        let mut parts = Vec::new();
        loop {
            match Scan::default().look(line.as_bytes()) {
                Found::Next(end, next) => {
                    parts.push(&line[..end]);
                    line = &line[next..];
                }
                Found::Rest(end) => {
                    parts.push(&line[..end]);
                    return parts;
                }
            }
        }
    }

    #[test]
    fn objects_are_parted_and_nothing_else_is() {
        for (line, expected) in [
            (r#"{"a":1}{"b":2}"#, &[r#"{"a":1}"#, r#"{"b":2}"#][..]),
            ("{} \t{},{} , {},", &["{}", "{}", "{}", "{}"]),
            ("{}\u{FEFF}{}", &["{}", "{}"]),
            (r#"{"a":{"b":{}}}{"c":"}{"}"#, &[r#"{"a":{"b":{}}}"#, r#"{"c":"}{"}"#]),
            (r#"{"a":"\"}{\\"}{}"#, &[r#"{"a":"\"}{\\"}"#, "{}"]),
            (r#"{"a":[{},{}]}"#, &[r#"{"a":[{},{}]}"#]),
            // What is wrong is rejected whole, and takes nothing good with it that stands before.
            (r#"{}{"a":"#, &["{}", r#"{"a":"#]),
            ("{}{}x", &["{}", "{}x"]),
            ("{}x{}", &["{}x{}"]),
            ("x{}{}", &["x{}{}"]),
            ("}{", &["}{"]),
            ("", &[""]),
        ] {
            assert_eq!(parts(line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_is_looked_at_in_any_parts() {
        let line = r#" {"a":"\"}{\\","b":{"c":[{}]}} , {"d":1}"#.as_bytes();
        let whole = Scan::default().look(line);
        for cut in 0..line.len() {
            let mut scan = Scan::default();
            let first = scan.look(&line[..cut]);
            assert_eq!(matches!(first, Found::Next(..)), line[..cut].ends_with(b", {") || cut > 34, "{cut}");
            assert_eq!(scan.look(line), whole, "{cut}");
        }
    }
}
