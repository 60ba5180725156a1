//! A file is looked through before it is read: what it is, whether it is whole, and whether it was read before.

use super::super::SourceError;
use super::super::content::{Content, Read};
use super::super::names::called;
use super::super::sniff::Kind;
use super::super::table::Header;
use super::super::valid::has_valid_record;
use super::super::whose::{Whose, whose};
use super::LINES_MAX;
use super::digest::Digest;
use crate::decode::csv::is_open;
use crate::rules::Rules;
use crate::state_dir::dropped::Listed;
use dataflows::Instant;
use dataflows::family::FamilyId;
use std::collections::HashMap;
use std::path::PathBuf;

/// About how many bytes are looked through in one step.
const STEP_BYTES: usize = 4 << 20;

/// By what files are judged.
pub struct Judges {
    /// What is accepted.
    pub rules: Rules,
    /// The family of all of them, if it was said.
    pub whose: Option<FamilyId>,
    /// The families that are kept.
    pub families: Vec<FamilyId>,
    /// A file of which none of the first records is valid is read all the same.
    pub accept_rejects: bool,
}

/// A file that is taken.
pub(super) struct Taking {
    /// What it is called.
    pub(super) name: String,
    path: PathBuf,
    looked: Option<Looked>,
}

/// How far it was looked through.
struct Looked {
    content: Content,
    family: FamilyId,
    digest: Digest,
    /// The line of the header.
    header: i64,
    /// The last line that is not blank.
    lines: i64,
    /// Up to this line it is a file that was taken before.
    after: Option<(i64, i64)>,
    /// A text in quotes begins in its last record, and does not end.
    is_cut: bool,
    line: Vec<u8>,
}

/// What a step came to. An error is why the file is set aside.
pub(super) enum Taken {
    /// There is more of it.
    More,
    /// It can be read; it has no number yet.
    Whole(Listed),
}

impl Taking {
    pub(super) fn new(path: PathBuf, name: String) -> Taking {
        Taking { name, path, looked: None }
    }

    /// Looks through some of it.
    pub(super) fn step(
        &mut self,
        judges: &Judges,
        known: &HashMap<Digest, (i64, Box<str>)>,
        clock_ms: Instant,
    ) -> Result<Taken, SourceError> {
        let Some(looked) = &mut self.looked else {
            self.looked = Some(self.begin(judges, clock_ms)?);
            return Ok(Taken::More);
        };
        match looked.go_on(known, &self.name)? {
            false => Ok(Taken::More),
            true => self.end(known).map(Taken::Whole),
        }
    }

    /// What can be told of its beginning.
    fn begin(&self, judges: &Judges, clock_ms: Instant) -> Result<Looked, SourceError> {
        let content = Content::open(&self.path)?;
        let said: Whose = judges.whose.map(|family| (self.path.clone(), family)).into_iter().collect();
        let family = whose(&self.path, &said, &judges.rules)?;
        if !judges.families.contains(&family) {
            let (name, family) = (called(&self.path), family.name());
            return Err(SourceError::Refused(format!(
                "file {name} is of family `{family}`, which this run does not keep"
            )));
        }
        let header = Header::of(&self.path)?.map_or(0, |header| header.line);
        if !judges.accept_rejects {
            has_valid_record(&self.path, (Kind::Events, family), true, &judges.rules, clock_ms)?;
        }
        let (digest, line) = (Digest::default(), Vec::new());
        Ok(Looked { content, family, digest, header, lines: 0, after: None, is_cut: false, line })
    }

    /// What can be told once all of it was looked through.
    fn end(&self, known: &HashMap<Digest, (i64, Box<str>)>) -> Result<Listed, SourceError> {
        let Some(looked) = &self.looked else { return Err(SourceError::Failed(String::new())) };
        let Looked { content, family, digest, header, lines, after, is_cut, .. } = looked;
        let (file, refuse) = (called(&self.path), |why: String| Err(SourceError::Refused(why)));
        if lines <= header {
            return refuse(format!("file {file} has no record"));
        }
        if *is_cut {
            return refuse(format!(
                "file {file} is cut within a field: the text in quotes that begins in line {lines} has no end. Get it again, \
                 whole, and drop that"
            ));
        }
        if let Some((number, name)) = known.get(digest) {
            return refuse(format!("file {file} has the content of file {number}, `{name}`, which was taken before"));
        }
        let after = after.map_or(0, |(_, line)| line);
        if after >= *lines {
            return refuse(format!("file {file} has no record that was not taken before"));
        }
        if after > 0 {
            tracing::info!("{} goes on behind line {after}, which was read before", self.name);
        }
        Ok(Listed {
            number: 0,
            name: self.name.clone(),
            family: family.name().to_owned(),
            checksum: digest.text(),
            lines: *lines,
            after,
            bytes: content.file_bytes(),
        })
    }
}

impl Looked {
    /// Looks through some more; tells whether that was the end.
    fn go_on(&mut self, known: &HashMap<Digest, (i64, Box<str>)>, name: &str) -> Result<bool, SourceError> {
        let mut gone_over = 0;
        while gone_over < STEP_BYTES {
            self.line.clear();
            let line = match self.content.read(&mut self.line)? {
                Read::Line(line) => line,
                Read::Part(bytes) => {
                    gone_over += bytes;
                    continue;
                }
                Read::End => return Ok(true),
            };
            gone_over += self.line.len() + 1;
            if line.number >= LINES_MAX {
                return Err(SourceError::Refused(format!("it has more than {} lines: cut it", LINES_MAX - 1)));
            }
            self.digest.add(line, &self.line);
            if !self.line.trim_ascii().is_empty() {
                self.lines = line.number;
            }
            if !line.ended {
                self.is_cut = self.content.separator().is_some_and(|separator| is_open(&self.line, separator));
            }
            // What grows keeps its name.
            if let Some((number, _)) = known.get(&self.digest).filter(|(_, of)| **of == *name) {
                self.after = Some((*number, line.number));
            }
        }
        Ok(false)
    }
}
