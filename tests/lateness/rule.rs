//! The rule, as one reads it: lines in their order, judged by those before.

use crate::support::{HOUR_MS, MONDAY_MS};
use deltamart::instant;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How late a line may be.
pub const LATENESS_MS: i64 = 48 * HOUR_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The event times of a file, line by line.
pub type Lines = Vec<i64>;

/// What each line is judged by: file, line, its time, and M.
pub fn judged(files: &[Lines]) -> Vec<(u32, usize, i64, i64)> {
    let (mut before, mut judged) = (Vec::new(), Vec::new());
    for (number, lines) in (0..).zip(files) {
        for (line, at) in lines.iter().enumerate() {
            before.sort();
            let by = match before[..] {
                [.., second, largest] if largest - second <= DAY_MS => largest,
                [.., second, _] => second,
                _ => 0,
            };
            judged.push((number, line, *at, by));
            before.push(*at);
        }
    }
    judged
}

/// Files as they may be: shuffled, too late, with jumps back and gaps between them, and stray lines.
pub fn lines(seed: u64) -> Vec<Lines> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut now = 1000;
    let mut files = Vec::new();
    for _ in 0..[1, 1, 2, 3][dice.random_range(0..4)] {
        if dice.random_bool(0.2) {
            now += [-200, -40, -50, 100, 2000][dice.random_range(0..5)];
        }
        let mut lines = Vec::new();
        for _ in 0..[1, 3, 8, 30, 80][dice.random_range(0..5)] {
            now += [0, 0, 1, 1, 2, 5, 20][dice.random_range(0..7)];
            let at = match dice.random_range(0..100) {
                0..25 => now - dice.random_range(0..=LATENESS_MS / HOUR_MS + 6),
                25..27 => now + [1, 30, 500, 50_000][dice.random_range(0..4)],
                _ => now,
            };
            lines.push(MONDAY_MS + at * HOUR_MS);
        }
        files.push(lines);
    }
    files
}

/// The same without leaps of its own: whichever line is taken away, the others are within a day of each other, and
/// the first few say what time it is.
pub fn without_leaps(files: Vec<Lines>) -> Vec<Lines> {
    let mut most = Vec::new();
    let mut tame = |at: i64| {
        let largest: Option<i64> = most.iter().copied().max();
        let mut at = largest.map_or(at, |largest| at.min(largest + DAY_MS / 2));
        if most.len() < 3 {
            at = largest.map_or(at, |largest| at.max(largest));
        }
        most.push(at);
        at
    };
    files.into_iter().map(|lines| lines.into_iter().map(&mut tame).collect()).collect()
}

/// Which lines are late.
fn fates(files: &[Lines]) -> BTreeMap<(u32, usize), bool> {
    judged(files).into_iter().map(|(file, line, at, by)| ((file, line), at < by - LATENESS_MS)).collect()
}

/// Fails if a line that becomes stray decides of another one. Where the line was itself the latest so far, it is
/// missing to those after it: then as if it were not there.
pub fn assert_stray_is_alone(files: &[Lines], file: usize, line: usize, far_ms: i64) {
    let mut stray = files.to_vec();
    stray[file][line] += far_ms;
    let (as_it_was, with) = (judged(files), fates(&stray));
    let place = |(number, n, ..): &&(u32, usize, i64, i64)| (*number as usize, *n) == (file, line);
    let it = as_it_was.iter().find(place).expect("a line");
    let mut without = files.to_vec();
    without[file].remove(line);
    for ((number, n), late) in fates(&without) {
        let moved = number as usize == file && n >= line;
        assert_eq!(with[&(number, n + usize::from(moved))], late, "line {n} of file {number}: {files:?}");
    }
    // One that was not needed to say what time it is: two before it say at least as much.
    let before = as_it_was.iter().take_while(|one| !place(one)).filter(|(.., at, _)| *at >= it.2).count();
    if before >= 2 {
        for ((number, n), late) in fates(files) {
            let is_it = (number as usize, n) == (file, line);
            assert!(is_it || with[&(number, n)] == late, "line {n} of file {number}: {files:?}");
        }
    }
}

/// A line of this time: somebody does something that depends on where it stands.
pub fn event(file: u32, line: usize, at: i64) -> Vec<u8> {
    let at = instant::show(at);
    let (user, item, cart) = (line % 3 + 1, line % 2 + 1, (line + file as usize) % 4);
    let named = |name: &str, rest: String| format!(r#"{{"event_name":"{name}","timestamp":"{at}",{rest}}}"#);
    let cart_id = format!("00000000-0000-0000-0000-{cart:012}");
    let text = match (line + 5 * file as usize) % 7 {
        0 => named("sign_in", format!(r#""user_id":{user}"#)),
        1 | 2 => named("added_to_cart", format!(r#""user_id":{user},"item_id":"{item}","cart_id":"{cart_id}""#)),
        3 => named("checkout_to_cart", format!(r#""user_id":{user},"cart_id":"{cart_id}","payment_method":"Card""#)),
        4 => named("sign_out", format!(r#""user_id":{user}"#)),
        5 => named("item_view", format!(r#""user_id":{user},"item_id":"{item}""#)),
        _ => named(
            "consumer_registration",
            format!(r#""user_id":{user},"age":30,"masked_email":"","preferred_language":"""#),
        ),
    };
    text.into_bytes()
}
