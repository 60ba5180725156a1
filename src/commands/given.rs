//! The files that were given, and which sources they are: events are logs, a catalog is a state.

use super::Refused;
use super::asof::first_event;
use super::named::{Begin, Named};
use super::signals::EndsAtOnce;
use crate::config::Config;
use crate::decode::{Format, mask};
use crate::families::SHOP;
use crate::families::all;
use crate::instant;
use crate::kept::has_all;
use crate::recovery::Past;
use crate::sink::sqlite::Sqlite;
use crate::source::Source;
use crate::source::chain::Chain;
use crate::source::content::{Content, Tail};
use crate::source::files::Files;
use crate::source::follow::{Follow, with_those_before};
use crate::source::movies::Movies;
use crate::source::names::names;
use crate::source::recognise::{Before, Differs, Found, KnownSource, Refusal, name_and_number, recognise};
use crate::source::sniff::Kind;
use crate::source::valid::has_valid_record;
use crate::source::whose::{Whose, whose};
use anyhow::Result;
use dataflows::family::FamilyId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// So many of the lines that were rejected before and are other now are named.
const MENDED_NAMED: usize = 5;

/// The catalogs, and after them the files of events: one source a family, that of the movie shop first. The file that is to
/// be followed does not end.
pub(super) fn given(
    config: &Config,
    named: &Named,
    past: &Past,
    (begin, follow): (Begin, Option<Follow>),
) -> Result<Vec<Box<dyn Source>>> {
    // Every byte of what was read before is read again, to know it again.
    let _ends = EndsAtOnce::new()?;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let tables = match begin {
        Begin::GoOn { .. } => past.clone(),
        // What was read before is read again, and decided again.
        Begin::Again { .. } => Past { begins: past.begins.clone(), ..Past::default() },
    };
    for (name, path) in names(&named.catalogs)?.iter().zip(&named.catalogs) {
        sources.push(Box::new(catalog(config, named, name, path, &tables)?));
    }
    let before = if matches!(begin, Begin::GoOn { .. }) { Before::Counts } else { Before::IsReadAgain };
    let known = KnownSource::of(&past.identities, &past.sums);
    let (mut files, mut families) = (named.files.clone(), named.whose.clone());
    if let Some(follow) = &follow {
        files = with_those_before(follow.path(), &known)?;
        if let Some(family) = named.whose.get(follow.path()) {
            families.extend(files.iter().map(|path| (path.clone(), *family)));
        }
    }
    let found = recognise(&files, &known, &named.another, before, Tail::Wait);
    let mut found = found.map_err(|refusal| refused(config, refusal))?;
    for found in &mut found {
        found.family = whose(&found.path, &families, &config.rules)?;
    }
    for found in found.iter().filter(|found| found.opened.is_none()) {
        refuse_rejects(config, (Kind::Events, found.family), Tail::Wait, &found.path)?;
    }
    for found in &found {
        if let Some(catalog) = sources.iter().flat_map(|source| source.partitions()).find(|it| it.topic == found.topic)
        {
            let why = format!("a catalog and a file of events are both called `{}`: rename one of them", catalog.topic);
            return Err(Refused(why).into());
        }
    }
    let sources = by_family(sources, found, (Tail::Wait, follow), &files)?;
    let Some(paces) = &named.paced else { return Ok(sources) };
    Ok(sources.into_iter().map(|source| paces.of(source)).collect())
}

/// A catalog as a state: equal to the last one that was read of its name, it is no news; else it is the next version.
/// As of when it holds is decided once, and written down with its identity before anything of it is read.
fn catalog(config: &Config, named: &Named, name: &str, path: &Path, past: &Past) -> Result<Movies> {
    let mut content = Content::of(path, Kind::Catalog)?;
    content.skip_to(i64::MAX, Tail::Take)?;
    let sum = content.sum();
    let versions = past.identities.iter().filter_map(|(partition, identity)| {
        let (topic, number) = name_and_number(partition)?;
        (topic == name).then_some((number, identity))
    });
    let last = versions.max_by_key(|(number, _)| *number);
    if let Some((number, identity)) = last
        && let Some((known, as_of)) = Movies::identified(identity)
        && known == sum
    {
        if let Some(given) = named.as_of.filter(|given| *given != as_of) {
            let (path, was, given) = (path.display(), instant::show(as_of), instant::show(given));
            tracing::warn!("catalog `{path}` was read as of {was}; that it is given as of {given} now changes nothing");
        }
        return Ok(Movies::file(name, path, as_of)?.version(number, sum));
    }
    let watermark = past.lanes.of(SHOP.name()).watermark;
    let as_of = match named.as_of {
        Some(as_of) => as_of,
        None if watermark > dataflows::time::START => watermark,
        None => first_event(&config.rules, &named.files)?.map_or_else(instant::now, |first| first - 1),
    };
    // Of two versions as of one instant neither is the later one.
    let before = last.and_then(|(_, identity)| Movies::identified(identity)).map(|(_, before)| before);
    let as_of = before.filter(|_| named.as_of.is_none()).map_or(as_of, |before| as_of.max(before + 1));
    refuse_rejects(config, (Kind::Catalog, SHOP), Tail::Take, path)?;
    let number = last.map_or(0, |(number, _)| number + 1);
    if number > 0 {
        tracing::info!("catalog `{}` has changed: it holds as of {}", path.display(), instant::show(as_of));
    }
    Ok(Movies::file(name, path, as_of)?.version(number, sum))
}

/// Refuses a file that is nothing but rejects, of those that are read from their first line.
pub(super) fn refuse_rejects(config: &Config, (kind, family): (Kind, FamilyId), tail: Tail, path: &Path) -> Result<()> {
    if !config.accept_rejects {
        has_valid_record(path, (kind, family), tail == Tail::Take, &config.rules, instant::now())?;
    }
    Ok(())
}

/// What is wrong with what was given is refused; what cannot be read has failed.
pub(super) fn refused(config: &Config, refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::Source(error) => error.into(),
        Refusal::Twice(_) => Refused(refusal.to_string()).into(),
        Refusal::Differs(ref differs) => match mended(config, differs) {
            Ok(lines) if !lines.is_empty() => {
                Refused(format!("{refusal}\nRejected lines that changed: {lines}")).into()
            }
            _ => Refused(refusal.to_string()).into(),
        },
    }
}

/// One source a family: catalogs are read before the files of the movie shop. Of those `given` it is said which hold
/// nothing.
pub(super) fn by_family(
    catalogs: Vec<Box<dyn Source>>,
    found: Vec<Found>,
    (tail, mut follow): (Tail, Option<Follow>),
    given: &[PathBuf],
) -> Result<Vec<Box<dyn Source>>> {
    let (ours, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.family == SHOP);
    let mut families: Vec<(FamilyId, Vec<Found>)> = Vec::new();
    for found in others {
        match families.iter_mut().find(|(family, _)| *family == found.family) {
            Some((_, of_family)) => of_family.push(found),
            None => families.push((found.family, vec![found])),
        }
    }
    let named: Vec<PathBuf> = families.iter().flat_map(|(_, found)| found).map(|found| found.path.clone()).collect();
    let shop = Files::found(ours, tail);
    let rest: Vec<PathBuf> = given.iter().filter(|path| !named.contains(path)).cloned().collect();
    let mut shop = shop.leaving_out(&rest)?;
    if let Some(follow) = follow.take_if(|follow| named.iter().all(|path| path != follow.path())) {
        shop = shop.following(follow);
    }
    let mut of_shop = catalogs;
    of_shop.push(Box::new(shop));
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Chain::new(of_shop))];
    for (_, found) in families {
        let follow = follow.take_if(|follow| found.iter().any(|found| found.path == follow.path()));
        let files = Files::found(found, tail);
        sources.push(Box::new(if let Some(follow) = follow { files.following(follow) } else { files }));
    }
    Ok(sources)
}

/// The lines of a file that were rejected and are other now.
fn mended(config: &Config, differs: &Differs) -> Result<String> {
    let warehouse = Sqlite::open_to_read(all(), &config.warehouse)?;
    let mut rejected = BTreeMap::new();
    let mut last = None;
    loop {
        let page = warehouse.rejected(&[], last.as_ref(), 1000)?;
        last = page.last().cloned();
        if last.is_none() {
            break;
        }
        let of_file =
            page.into_iter().filter(|row| row.topic == differs.topic && row.partition == i64::from(differs.number));
        rejected.extend(of_file.filter(|row| has_all(&row.detail)).map(|row| (row.offset, row.raw)));
    }
    let (mut content, mut line) = (Content::open(&differs.path)?, Vec::new());
    if content.separator().is_some() {
        // They are not kept as they stand there.
        return Ok(String::new());
    }
    let mut others = Vec::new();
    while let Some(read) = content.read_line(&mut line)? {
        // Kept bytes are masked.
        if rejected
            .get(&read.number)
            .is_some_and(|raw| **raw != *line && **raw != mask::record(&Format::Json(None), &line).bytes)
        {
            others.push(read.number.to_string());
        }
        line.clear();
    }
    if others.is_empty() {
        return Ok(String::new());
    }
    let more = others.len().saturating_sub(MENDED_NAMED);
    others.truncate(MENDED_NAMED);
    let named = format!("{} {}", if more + others.len() == 1 { "line" } else { "lines" }, others.join(", "));
    Ok(if more > 0 { format!("{named}, and {more} more") } else { named })
}

/// The files of a batch, each whole.
pub(super) fn whole(config: &Config, files: &[PathBuf], said: &Whose, another: &[PathBuf]) -> Result<Vec<Found>> {
    let found = recognise(files, &[], another, Before::Counts, Tail::Take);
    let mut found = found.map_err(|refusal| match refusal {
        Refusal::Source(error) => anyhow::Error::from(error),
        refusal @ (Refusal::Differs(_) | Refusal::Twice(_)) => Refused(refusal.to_string()).into(),
    })?;
    for found in &mut found {
        found.family = whose(&found.path, said, &config.rules)?;
        refuse_rejects(config, (Kind::Events, found.family), Tail::Take, &found.path)?;
    }
    Ok(found)
}
