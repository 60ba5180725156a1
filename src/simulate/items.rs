//! A catalog of fictional items in the form of `Movies.txt`, with every kind of dirt the real one has.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ADJECTIVES: [&str; 16] = [
    "Silent", "Crimson", "Last", "Paper", "Electric", "Broken", "Golden", "Hidden", "Restless", "Winter", "Hollow",
    "Borrowed", "Distant", "Velvet", "Iron", "Second",
];
const NOUNS: [&str; 16] = [
    "Harbor", "Orchard", "Signal", "Kingdom", "Lantern", "Bridge", "Tide", "Symphony", "Frontier", "Garden", "Mirror",
    "Station", "Promise", "Ledger", "Comet", "Delta",
];
const PEOPLE: [&str; 14] = [
    "Nino Abashidze",
    "Tomas Hale",
    "Ada Moreau",
    "Giorgi Kapanadze",
    "Ines Ferreira",
    "Oskar Lind",
    "Mei Tanaka",
    "Rhea Okafor",
    "Luka Maisuradze",
    "Clara Vogt",
    "Ravi Menon",
    "Sofia Duarte",
    "Jonas Pell",
    "Tamar Lomidze",
];
const STUDIOS: [&str; 6] =
    ["Lantern Hill Pictures", "Blue Tram Films", "Northlight", "Kura Valley Studio", "Ninth Row", "Paper Kite"];
const GROUPS: [(&str, &str, &str); 8] = [
    ("DVD", "ABIS_DVD", "DVD"),
    ("DVD", "ABIS_DVD", "Blu-ray"),
    ("Movie", "DOWNLOADABLE_MOVIE", "Amazon Instant Video"),
    ("Music", "ABIS_MUSIC", "Audio CD"),
    ("Book", "ABIS_BOOK", "Paperback"),
    ("Video Games", "VIDEO_GAMES", "Video Game"),
    ("Musical Instruments", "GUITARS", "Electronics"),
    ("Art and Craft Supply", "ART_SUPPLIES", "Misc."),
];
const RATINGS: [&str; 5] =
    ["NR (Not Rated)", "Unrated", "R (Restricted)", "PG (Parental Guidance Suggested)", "G (General Audience)"];

/// Bytes of `Movies.txt` with so many items; the same seed gives the same bytes.
pub fn movies_txt(items: usize, seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Vec::new();
    for number in 1..=items {
        item(number, &mut random, &mut out);
    }
    out
}

fn item(number: usize, random: &mut ChaCha8Rng, out: &mut Vec<u8>) {
    // Every kind of dirt comes around; the numbers are prime to each other, so they also meet.
    let every = |n: usize| number % n == n / 2;
    let mut lines: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut push = |key: &'static str, value: &str| lines.push((key, value.as_bytes().to_vec()));
    let pick = |random: &mut ChaCha8Rng, from: &[&'static str]| *from.choose(random).expect("not empty");
    let (group, product_type, binding) = *GROUPS.choose(random).expect("not empty");
    let studio = pick(random, &STUDIOS);
    for _ in 0..random.random_range(0..=3) {
        push("Actor", pick(random, &PEOPLE));
    }
    push("AudienceRating", pick(random, &RATINGS));
    push("Binding", binding);
    if random.random_bool(0.6) {
        push("Director", pick(random, &PEOPLE));
    }
    push("EAN", &format!("{:013}", random.random_range(0..10_000_000_000_u64)));
    if every(5) {
        push("Feature", "Fine=grained: a value may hold =, \"quotes\", <b>tags</b> and commas, all at once");
        push("Feature", "A key may repeat, one value a line");
    }
    if every(23) {
        push("Genre", "Drama");
        push("Genre", "War");
    } else if random.random_bool(0.3) {
        push("Genre", pick(random, &["Drama", "Comedy", "Documentary", "Action"]));
    }
    push(
        "ItemDimensions",
        &format!("{}{}{}", random.random_range(10..99), random.random_range(100..999), random.random_range(10..999)),
    );
    push(
        "Languages",
        pick(
            random,
            &["EnglishOriginal Language", "EnglishUnknownGeorgianSubtitled", "EnglishUnknownEnglishOriginal Language"],
        ),
    );
    for price in prices(number, random) {
        push("ListPrice", &price);
    }
    push("ProductGroup", group);
    push("ProductTypeName", product_type);
    push("ReleaseDate", &release_date(random));
    if random.random_bool(0.4) {
        push("RunningTime", &if every(17) { 45_154.to_string() } else { random.random_range(40..240).to_string() });
    }
    push("Studio", studio);
    let mut title = format!("{} {}", pick(random, &ADJECTIVES), pick(random, &NOUNS));
    if every(13) {
        title.push_str(" (Director&#39;s Cut)\t[HD]");
    }
    if !every(97) {
        push("Title", &title);
    }
    if every(7) {
        // "Café Société" as Windows-1252, "Él" as UTF-8, and what somebody lost before us.
        lines.push(("Label", b"Caf\xe9 Soci\xe9t\xe9".to_vec()));
        lines.push(("Manufacturer", "Él".as_bytes().to_vec()));
        lines.push(("Publisher", "Caf\u{fffd}".as_bytes().to_vec()));
    }
    write(number, &lines, out);
}

fn prices(number: usize, random: &mut ChaCha8Rng) -> Vec<String> {
    let cents: u64 = random.random_range(1..=6_000) * 10 + 9;
    let plain = |cents: u64| format!("{cents}USD${}.{:02}", cents / 100, cents % 100);
    match number % 40 {
        3 | 11 | 19 | 27 | 35 => Vec::new(),
        7 => vec!["Too low to display".to_owned()],
        15 => vec![format!("{cents}EUR€{}.{:02}", cents / 100, cents % 100)],
        23 => vec![format!("{cents}USD${}.00", cents / 100 + 1)],
        31 => vec!["129999USD$1,299.99".to_owned()],
        39 => vec![plain(cents), plain(cents + 100)],
        38 => vec!["0USD$0.00".to_owned()],
        36 => vec!["see store".to_owned()],
        _ => vec![plain(cents)],
    }
}

fn release_date(random: &mut ChaCha8Rng) -> String {
    let (year, month, day) =
        (random.random_range(1892..=2025), random.random_range(1..=12), random.random_range(1..=28));
    match random.random_range(0..4) {
        0 => format!("{year}"),
        1 => format!("{year}-{month:02}"),
        _ => format!("{year}-{month:02}-{day:02}"),
    }
}

fn write(number: usize, lines: &[(&str, Vec<u8>)], out: &mut Vec<u8>) {
    let end: &[u8] = if number % 11 == 5 { b"\r\n" } else { b"\n" };
    // One block has no number, and one number comes twice.
    let head = match number {
        _ if number % 149 == 74 => "ITEM unknown".to_owned(),
        _ if number % 151 == 75 => format!("ITEM {}", number - 2),
        _ => format!("ITEM {number}"),
    };
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(end);
    for (key, value) in lines {
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value);
        out.extend_from_slice(end);
    }
    if number % 29 == 14 {
        out.extend_from_slice(b"a line that says nothing");
        out.extend_from_slice(end);
    }
    out.extend_from_slice(end);
}
