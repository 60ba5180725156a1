//! Which source a given file is: what was read before under any name, or something new.
//!
//! | a file called `n` is given | then |
//! |---|---|
//! | the content of a known source up to its position | it goes on as that source, whatever it is called now |
//! | the name is known, the content differs, and another given file is the old one | a new source (`n`, 1): rotation |
//! | the same without the old one; or fewer lines than were read | refused: lines were corrected, or the old file is missing |
//! | it begins like a known source of another name and goes on otherwise, or ends before that can be told | refused: a copy |
//! | two given files, one the beginning of the other, or with several first lines in common | refused: a copy |
//! | it is empty, or has no whole first line | nothing: no identity, no position |
//! | anything else | a new source |
//!
//! `--another n` says of a refused file that it is another source all the same.

use super::SourceError;
use super::content::{Content, Tail};
use super::marks::Marks;
use super::names::{as_text, called, first_line_of};
use super::table::Header;
use crate::families::SHOP;
use dataflows::family::FamilyId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source that was read before.
#[derive(Clone, Debug)]
pub struct KnownSource {
    /// What it was called when it was first seen.
    pub topic: String,
    /// Which content of that name, from 0.
    pub number: i32,
    /// The sum of its first line.
    pub first: u32,
    /// How far it was read, and the sums on the way.
    pub marks: Marks,
}

impl KnownSource {
    /// The files of events among what was read, by `topic/partition`.
    pub fn of(identities: &BTreeMap<String, String>, sums: &BTreeMap<String, Marks>) -> Vec<KnownSource> {
        let known = |(partition, identity): (&String, &String)| {
            let (topic, number) = name_and_number(partition)?;
            let marks = sums.get(partition).cloned().unwrap_or_default();
            Some(KnownSource { topic: topic.to_owned(), number, first: first_line_of(identity)?, marks })
        };
        identities.iter().filter_map(known).collect()
    }
}

/// Name and number of `topic/partition`.
pub fn name_and_number(partition: &str) -> Option<(&str, i32)> {
    let (topic, number) = partition.rsplit_once('/')?;
    Some((topic, number.parse().ok()?))
}

/// A given file, and which source it is.
pub struct Found {
    /// What it was called when it was first seen.
    pub topic: String,
    /// Which content of that name, from 0.
    pub number: i32,
    /// Of which family it is: of the movie shop, unless it is told otherwise.
    pub family: FamilyId,
    /// Where it is.
    pub path: PathBuf,
    /// The sum of its first line; of separated values, that of the header and the first record.
    pub first: u32,
    /// What its header says, if its records are separated values.
    pub header: Option<Header>,
    /// Open at the line where reading goes on, if it was read before.
    pub opened: Option<Content>,
}

/// Why a given file cannot be read as what it seems to be.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read at all.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its lines would count twice, or not at all.
    #[error("{}", .0.text())]
    Differs(Differs),
    /// Two given files are copies of each other, as far as the shorter one goes.
    #[error("{0}")]
    Twice(String),
}

impl Refusal {
    /// As a source says it.
    pub fn source(self) -> SourceError {
        match self {
            Refusal::Source(error) => error,
            other @ (Refusal::Differs(_) | Refusal::Twice(_)) => SourceError::Refused(other.to_string()),
        }
    }
}

/// A file that is nearly what was read before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// The given file.
    pub path: PathBuf,
    /// The source that it is not.
    pub topic: String,
    /// Which content of that name.
    pub number: i32,
    /// Up to this line, not included, it is the same.
    pub same_before: i64,
    /// Before this line it differs; none if it ends too early to tell.
    pub differs_before: Option<i64>,
    /// How many lines it has, if it ends before what was read.
    pub lines: Option<i64>,
    /// How many were read.
    pub read: i64,
}

impl Differs {
    fn text(&self) -> String {
        let Differs { path, topic, number, same_before, differs_before, lines, read } = self;
        let shown = path.display();
        let source = if *number == 0 { format!("`{topic}`") } else { format!("`{topic}` ({number})") };
        let how = match (lines, differs_before) {
            (_, Some(until)) if until - 1 <= *same_before => format!("line {same_before} is another now"),
            (_, Some(until)) => format!("they differ between line {same_before} and line {}", until - 1),
            (Some(lines), None) => format!("it has {lines} lines, and {read} of {source} were read"),
            (None, None) => "its first line is another".to_owned(),
        };
        format!(
            "file `{shown}` is not what was read before as {source}: {how}. Reading it would count lines twice, or \
             leave out lines that were corrected.\n\
             If it was rotated, give the old file too, under any name.\n\
             If lines that were rejected are corrected now: `replay-rejected --out FILE`, correct that file, and give it too.\n\
             If it is another log that only begins alike:  --another {shown}\n\
             To compute everything again from the files as they are now: `batch`, or `run --rebuild`"
        )
    }
}

/// How what was read before counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It was read, and is not read again.
    Counts,
    /// Everything is read again: names are kept for what is recognised, and nothing is refused for what it was.
    IsReadAgain,
}

/// Recognises the given files, in the order given. Files without a whole first line are left out.
///
/// # Errors
/// If lines of one would count twice, or could not be told from lines that were read.
pub fn recognise(
    paths: &[PathBuf],
    known: &[KnownSource],
    another: &[PathBuf],
    before: Before,
    tail: Tail,
) -> Result<Vec<Found>, Refusal> {
    let mut given = Vec::new();
    for path in paths {
        if let Some((first, header)) = first_line(path, tail)? {
            given.push(Given { path, name: name(path), first, header, is_another: another.contains(path) });
        }
    }
    refuse_copies(&given, tail)?;
    let mut recognition = Recognition { known, before, tail, found: BTreeMap::new(), numbers: BTreeMap::new() };
    for known in known.iter().filter(|_| before == Before::Counts) {
        let next = recognition.numbers.entry(known.topic.clone()).or_default();
        *next = (known.number + 1).max(*next);
    }
    let mut unknown = Vec::new();
    for (place, given) in given.iter().enumerate() {
        match recognition.as_known(given)? {
            Ok((known, opened)) => recognition.note(place, given, known, opened)?,
            Err(nearest) => unknown.push((place, given, nearest)),
        }
    }
    for (place, given, nearest) in unknown {
        recognition.as_new(place, given, nearest)?;
    }
    Ok(recognition.found.into_values().collect())
}

struct Given<'a> {
    path: &'a PathBuf,
    name: String,
    first: u32,
    header: Option<Header>,
    is_another: bool,
}

impl Given<'_> {
    /// As what it was found.
    fn found(&self, topic: String, number: i32, opened: Option<Content>) -> Found {
        let (path, header) = (self.path.clone(), self.header.clone());
        Found { topic, number, family: SHOP, path, first: self.first, header, opened }
    }
}

struct Recognition<'a> {
    known: &'a [KnownSource],
    before: Before,
    tail: Tail,
    /// By their places in the order given.
    found: BTreeMap<usize, Found>,
    /// Per name the number of its next content.
    numbers: BTreeMap<String, i32>,
}

/// How far a file is the same as a known source.
struct Nearest<'a> {
    known: &'a KnownSource,
    same_before: i64,
    differs_before: Option<i64>,
    lines: Option<i64>,
}

impl<'a> Recognition<'a> {
    /// The known source that a file is, open where it goes on; or those that it only begins like.
    fn as_known(&self, given: &Given) -> Result<Result<(&'a KnownSource, Content), Vec<Nearest<'a>>>, SourceError> {
        let mut nearest = Vec::new();
        let mut best: Option<(&KnownSource, Content)> = None;
        for known in self.known.iter().filter(|known| known.first == given.first && !known.marks.is_empty()) {
            let mut content = Content::open(given.path)?;
            let (mut same_before, mut differs) = (1, None);
            for (next, sum) in known.marks.iter() {
                if !content.skip_to(next, self.tail)? {
                    let lines = Some(content.next() - 1);
                    differs = Some(Nearest { known, same_before, differs_before: None, lines });
                    break;
                }
                if content.sum() != sum {
                    differs = Some(Nearest { known, same_before, differs_before: Some(next), lines: None });
                    break;
                }
                same_before = next;
            }
            match differs {
                Some(differs) => nearest.push(differs),
                None if best.as_ref().is_none_or(|(other, _)| other.marks.next() < known.marks.next()) => {
                    best = Some((known, content));
                }
                None => {}
            }
        }
        Ok(match best {
            Some(best) if !given.is_another || best.0.topic == given.name => Ok(best),
            _ => Err(nearest),
        })
    }

    fn note(&mut self, place: usize, given: &Given, known: &KnownSource, opened: Content) -> Result<(), Refusal> {
        let (topic, number) = (known.topic.clone(), known.number);
        if topic != given.name {
            let (path, next) = (given.path.display(), known.marks.next());
            tracing::warn!("`{path}` is the file that was read as `{topic}`; reading continues with line {next}");
        }
        let next = self.numbers.entry(topic.clone()).or_default();
        *next = (number + 1).max(*next);
        self.found.insert(place, given.found(topic, number, Some(opened)));
        Ok(())
    }

    fn as_new(&mut self, place: usize, given: &Given, nearest: Vec<Nearest>) -> Result<(), Refusal> {
        if self.before == Before::Counts && !given.is_another {
            self.refuse_what_was_read(given, nearest)?;
        }
        let topic = given.name.clone();
        let taken: BTreeSet<i32> =
            self.found.values().filter(|found| found.topic == topic).map(|found| found.number).collect();
        // One that was begun, and of which nothing was read, begins again.
        let begun = self.known.iter().filter(|_| self.before == Before::Counts).find(|known| {
            known.marks.is_empty()
                && (&known.topic, known.first) == (&topic, given.first)
                && !taken.contains(&known.number)
        });
        if let Some(begun) = begun {
            self.found.insert(place, given.found(topic, begun.number, None));
            return Ok(());
        }
        let next = self.numbers.entry(topic.clone()).or_default();
        while taken.contains(next) {
            *next += 1;
        }
        let number = *next;
        *next += 1;
        self.found.insert(place, given.found(topic, number, None));
        Ok(())
    }

    fn refuse_what_was_read(&self, given: &Given, nearest: Vec<Nearest>) -> Result<(), Refusal> {
        let newest = self.known.iter().filter(|known| known.topic == given.name && !known.marks.is_empty());
        let newest = newest.max_by_key(|known| known.number);
        // Of a name that is known the old content must be there, or it may have been mended.
        let is_given = |known: &KnownSource| {
            self.found.values().any(|found| (&found.topic, found.number) == (&known.topic, known.number))
        };
        let missing = newest.filter(|known| !is_given(known));
        let differs = |near: &Nearest| Differs {
            path: given.path.clone(),
            topic: near.known.topic.clone(),
            number: near.known.number,
            same_before: near.same_before,
            differs_before: near.differs_before,
            lines: near.lines,
            read: near.known.marks.next() - 1,
        };
        // More than the first line in common, or too short to tell: some of it was read.
        // What is given was compared line by line.
        let copied = |near: &&Nearest| !is_given(near.known) && (near.same_before > 2 || near.lines.is_some());
        let copy = nearest.iter().filter(copied).max_by_key(|near| near.same_before);
        if let Some(known) = missing {
            let same =
                nearest.iter().find(|near| (&near.known.topic, near.known.number) == (&known.topic, known.number));
            let other = Nearest { known, same_before: 1, differs_before: None, lines: None };
            return Err(Refusal::Differs(differs(copy.or(same).unwrap_or(&other))));
        }
        copy.map_or(Ok(()), |copy| Err(Refusal::Differs(differs(copy))))
    }
}

/// Why nothing is read of a file without a whole first line.
pub fn left_out(path: &Path) -> Result<String, SourceError> {
    let named = called(path);
    Ok(match first_line(path, Tail::Take)? {
        None if Header::of(path)?.is_some() => format!("{named} has a header and no record"),
        None => format!("{named} is empty"),
        Some(_) => format!(
            "the first line of {named} has no line end yet; nothing was read; if the file is whole, end it with a line feed"
        ),
    })
}

/// What a file is called: its own name, without where it lies.
fn name(path: &Path) -> String {
    as_text(path.file_name().unwrap_or(path.as_os_str()))
}

/// The sum of the first line, if there is a whole one. All files of one kind of separated values have one header: they
/// are told apart by it and their first record.
fn first_line(path: &Path, tail: Tail) -> Result<Option<(u32, Option<Header>)>, SourceError> {
    let mut content = Content::open(path)?;
    let header = Header::read(path, &mut content)?;
    let line = content.read_line(&mut Vec::new())?;
    Ok(line.filter(|line| line.ended || tail == Tail::Take).map(|line| (line.sum, header)))
}

/// Of two given files with the same first line: whether lines of both are the same.
fn refuse_copies(given: &[Given], tail: Tail) -> Result<(), Refusal> {
    for (n, one) in given.iter().enumerate() {
        for other in given[..n].iter().filter(|other| other.first == one.first) {
            if one.is_another || other.is_another {
                continue;
            }
            let (first, second) = (other.path.display(), one.path.display());
            let (same, rest) = in_common(other.path, one.path, tail)?;
            let why = match rest {
                (false, false) => format!("files `{first}` and `{second}` have the same content: leave one out"),
                (false, true) => format!("file `{first}` is the beginning of `{second}`: leave `{first}` out"),
                (true, false) => format!("file `{second}` is the beginning of `{first}`: leave `{second}` out"),
                (true, true) if same > 1 => format!(
                    "files `{first}` and `{second}` have their first {same} lines in common, which would count twice: \
                     leave one out. If they are two logs that only begin alike:  --another {second}"
                ),
                (true, true) => continue,
            };
            return Err(Refusal::Twice(why));
        }
    }
    Ok(())
}

/// How many first lines two files have in common, and whether each has more.
fn in_common(one: &Path, other: &Path, tail: Tail) -> Result<(i64, (bool, bool)), SourceError> {
    let (mut one, mut other) = (Content::open(one)?, Content::open(other)?);
    let next = |content: &mut Content| -> Result<Option<u32>, SourceError> {
        let line = content.read_line(&mut Vec::new())?;
        Ok(line.filter(|line| line.ended || tail == Tail::Take).map(|line| line.sum))
    };
    let mut same = 0;
    loop {
        match (next(&mut one)?, next(&mut other)?) {
            (Some(a), Some(b)) if a == b => same += 1,
            (a, b) => return Ok((same, (a.is_some(), b.is_some()))),
        }
    }
}
