//! No circles: a reader of a module has read, before it, all that it is made of. Only a module and what stands in its
//! folder may name each other.
//!
//! A module is a file. It depends on those that its `use` trees and paths name; on a parent, not on the child that an
//! item of the parent comes from. Tests do not count.

use super::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which modules each module names.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_make_no_circle() {
    let mut read = 0;
    for (name, folder) in [("deltamart", "src"), ("dataflows", "dataflows")] {
        let mut files = BTreeMap::new();
        read_folder(&root().join(folder), "", &mut files);
        let graph = graph(&files);
        read += graph.len();
        let circles: Vec<_> = circles(&graph).iter().map(|circle| shown(circle, &graph)).collect();
        assert!(circles.is_empty(), "modules of `{name}` make circles:\n{}", circles.join("\n"));
    }
    assert!(read > 250, "only {read} modules were read");
}

#[test]
fn a_circle_is_found() {
    let files = [
        ("a", "use crate::b::{self, d::{D}, E as F}; /* crate::c */ const TEXT: &str = \"crate::c\"; fn a<'a>() {}"),
        (
            "b",
            "mod d; use std::fmt; fn b() { let _ = ('\"', r#\"crate::a::A\"#); }\n#[cfg(test)] mod tests { use crate::a; }",
        ),
        ("b::d", "mod inner { use super::super::super::c::C; } use super::B;"),
        ("c", "use super::c::inner; // crate::b\n fn c() { inner::one(crate::a::<u8>()) } mod inner;"),
        ("c::inner", "use super::*;"),
        ("e", "#[serde(with = \"super::c\")] use crate::b; fn e() { b::d::f(self::E) }"),
    ];
    let graph = graph(&files.into_iter().map(|(name, code)| (name.to_owned(), code.to_owned())).collect());
    let names = |from: &str| graph[from].iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!(["a", "b", "b::d", "c", "c::inner", "e"].map(names), ["b b::d", "", "c", "a", "", "b b::d c"]);
    let circles = circles(&graph);
    assert_eq!(circles, [["a", "b::d", "c"]]);
    assert_eq!(shown(&circles[0], &graph), "a, b::d, c: a -> b::d -> c -> a");
}

/// Reads the modules of a folder, by their paths.
fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let name = format!("{prefix}{stem}");
        if path.is_dir() && name != "benches" {
            read_folder(&path, &format!("{name}::"), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !["lib", "main"].contains(&stem) {
            files.insert(name, std::fs::read_to_string(&path).expect("readable"));
        }
    }
}

fn graph(files: &BTreeMap<String, String>) -> Graph {
    let mut codes: BTreeMap<&str, Vec<&str>> = files.iter().map(|(name, text)| (name.as_str(), words(text))).collect();
    let mut tests = BTreeSet::new();
    for (name, code) in &mut codes {
        tests.extend(without_tests(code).into_iter().map(|module| format!("{name}::{module}")));
    }
    let is_within = |name: &str, outer: &str| name.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"));
    codes.retain(|name, _| !tests.iter().any(|test| test == name || is_within(name, test)));
    let modules: BTreeSet<&str> = codes.keys().copied().collect();
    let related = |one: &str, other: &str| one == other || is_within(one, other) || is_within(other, one);
    let named = |(name, code): (&&str, &Vec<&str>)| {
        let named = named(name, code, &modules).into_iter().filter(|named| !related(name, named));
        ((*name).to_owned(), named.collect())
    };
    codes.iter().map(named).collect()
}

/// The words of Rust: names, `::` and single signs, without comments and texts.
fn words(mut text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    while let Some(first) = text.chars().next() {
        let name = text.find(|letter| !is_of_name(letter)).unwrap_or(text.len());
        let length = if let Some(length) = comment(text) {
            length
        } else if let Some(length) = literal(text) {
            // By a path in a text it is said how something is serialized.
            if let [.., what, "="] = words[..]
                && what.ends_with("with")
            {
                words.extend(self::words(&text[1..length - 1]));
            }
            length
        } else {
            let length = if text.starts_with("::") { 2 } else { name.max(first.len_utf8()) };
            words.extend((!first.is_whitespace()).then(|| &text[..length]));
            length
        };
        text = &text[length..];
    }
    words
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// How long the comment is that a text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("/*") {
        return Some(text.find("*/").expect("its end") + 2);
    }
    text.starts_with("//").then(|| text.find('\n').unwrap_or(text.len()))
}

/// How long the text or character is that a text begins with.
fn literal(text: &str) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r').or_else(|| text.strip_prefix("br"))
        && let content = raw.trim_start_matches('#')
        && content.starts_with('"')
    {
        let end = format!("\"{}", &raw[..raw.len() - content.len()]);
        let content = text.len() - content.len() + 1;
        return Some(content + text[content..].find(&end).expect("its end") + end.len());
    }
    let mut letters = text.chars();
    let quote = letters.next().filter(|letter| ['"', '\''].contains(letter))?;
    if quote == '\'' && letters.next().is_some_and(is_of_name) && letters.next() != Some(quote) {
        // A lifetime.
        return None;
    }
    let mut is_escaped = true;
    let end = text.find(|letter| {
        let ends = letter == quote && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    });
    Some(end.expect("its end") + 1)
}

/// Takes out what is of tests alone; tells which modules of other files are.
fn without_tests<'a>(code: &mut Vec<&'a str>) -> Vec<&'a str> {
    const OF_TESTS: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut modules = Vec::new();
    while let Some(start) = code.windows(OF_TESTS.len()).position(|words| words == OF_TESTS) {
        let mut depth = 0;
        let mut ends = |word: &&str| {
            depth += i32::from(["(", "[", "{"].contains(word)) - i32::from([")", "]", "}"].contains(word));
            depth == 0 && [";", "}"].contains(word)
        };
        let item: Vec<_> = code[start + OF_TESTS.len()..].to_vec();
        let length = item.iter().position(&mut ends).expect("its end") + 1;
        if let ["mod", name, ";"] = item[..length] {
            modules.push(name);
        }
        code.drain(start..start + OF_TESTS.len() + length);
    }
    modules
}

/// The modules that a module's code names.
fn named(name: &str, code: &[&str], modules: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut here: Vec<&str> = name.split("::").collect();
    // Modules within the file, each with how deep its braces are.
    let (mut within, mut depth) = (Vec::new(), 0);
    let mut imported: BTreeMap<&str, String> = BTreeMap::new();
    let mut named = BTreeSet::new();
    let mut at = 0;
    while at < code.len() {
        match code[at..] {
            ["use", next, ..] if next != "<" => {
                let mut tree = Vec::new();
                at += 1 + use_tree(&code[at + 1..], &[], &mut tree);
                for (path, alias) in tree {
                    if let Some(module) = module_of(&path, &here, &BTreeMap::new(), modules) {
                        if module.rsplit("::").next() == path.last().copied() {
                            imported.insert(alias, module.clone());
                        }
                        named.insert(module);
                    }
                }
                continue;
            }
            ["mod", inner, "{", ..] => {
                here.push(inner);
                within.push(depth);
            }
            ["{", ..] => depth += 1,
            ["}", ..] => {
                depth -= 1;
                if within.last() == Some(&depth) {
                    within.pop();
                    here.pop();
                }
            }
            [first, "::", ..] if at == 0 || !["::", "."].contains(&code[at - 1]) => {
                let rest = code[at..].chunks(2).take_while(|pair| pair.get(1) == Some(&"::")).count();
                let path: Vec<_> = code[at..].iter().step_by(2).take(rest + 1).copied().collect();
                debug_assert_eq!(path[0], first);
                named.extend(module_of(&path, &here, &imported, modules));
            }
            _ => {}
        }
        at += 1;
    }
    named
}

/// The paths of a `use` tree, each with the name it is given; tells how many words they took.
fn use_tree<'a>(code: &[&'a str], prefix: &[&'a str], paths: &mut Vec<(Vec<&'a str>, &'a str)>) -> usize {
    let (mut path, mut at) = (prefix.to_vec(), 0);
    loop {
        match code[at..] {
            ["{", ..] => {
                at += 1;
                while code[at] != "}" {
                    at += use_tree(&code[at..], &path, paths);
                    at += usize::from(code[at] == ",");
                }
                return at + 1;
            }
            ["::", ..] => at += 1,
            ["as", alias, ..] => {
                paths.push((path, alias));
                return at + 2;
            }
            [";" | "," | "}", ..] => {
                let name = path.last().copied().unwrap_or_default();
                paths.push((path, name));
                return at;
            }
            // The module itself, by its own name.
            ["self", ..] if !path.is_empty() => at += 1,
            [word, ..] => {
                path.push(word);
                at += 1;
            }
            [] => panic!("a `use` without an end"),
        }
    }
}

/// The module in which a path ends, if it is of this crate.
fn module_of(
    path: &[&str],
    here: &[&str],
    imported: &BTreeMap<&str, String>,
    modules: &BTreeSet<&str>,
) -> Option<String> {
    let child = [here, &path[..1]].concat().join("::");
    let (mut module, rest) = match path[0] {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (here.to_vec(), &path[1..]),
        "super" => (here.to_vec(), path),
        first => match imported.get(first) {
            Some(module) => (module.split("::").collect(), &path[1..]),
            None if modules.contains(child.as_str()) => (here.to_vec(), path),
            None => return None,
        },
    };
    for word in rest {
        if *word == "super" {
            module.pop();
        } else {
            module.push(word);
        }
    }
    while !module.is_empty() && !modules.contains(module.join("::").as_str()) {
        module.pop();
    }
    (!module.is_empty()).then(|| module.join("::"))
}

/// A shortest way from one module to another.
fn way<'a>(from: &'a str, to: &str, graph: &'a Graph) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let longer = ways.iter().flat_map(|way| graph[way[way.len() - 1]].iter().map(move |next| (way, next.as_str())));
        let longer: Vec<Vec<&str>> =
            longer.filter(|(_, next)| seen.insert(*next)).map(|(way, next)| [&way[..], &[next]].concat()).collect();
        if let Some(found) = longer.iter().find(|way| way.last() == Some(&to)) {
            return Some(found.clone());
        }
        ways = longer;
    }
    None
}

/// The strongly connected components of more than one module.
fn circles(graph: &Graph) -> Vec<Vec<&str>> {
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for one in graph.keys() {
        if !circles.iter().flatten().any(|known| known == one) && way(one, one, graph).is_some() {
            let reached = graph.keys().filter(|other| way(one, other, graph).is_some());
            circles.push(reached.filter(|other| way(other, one, graph).is_some()).map(String::as_str).collect());
        }
    }
    circles
}

/// The members of a circle, and one way around.
fn shown(circle: &[&str], graph: &Graph) -> String {
    let around = circle.iter().filter_map(|one| way(one, one, graph)).min_by_key(Vec::len).unwrap_or_default();
    format!("{}: {}", circle.join(", "), around.join(" -> "))
}
