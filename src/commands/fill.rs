//! `fill`: what events leave out, such as the brand of a product, is filled in from a file of items.

use super::Refused;
use super::paths::{Expected, Stdin, expand};
use super::text::grouped;
use crate::cli::FillArgs;
use anyhow::{Context as _, Result};
use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The items: of each, the first value that is not empty of each column.
struct Items {
    /// What the columns are called in events.
    columns: Vec<String>,
    first: HashMap<Box<[u8]>, Vec<First>>,
}

/// The first value of a column that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct First {
    value: Box<[u8]>,
    /// Another row of the item has another value.
    is_contradicted: bool,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    events: u64,
    filled: u64,
    /// Lines with more or fewer fields than the header: they stay as they are, and `run` says what is wrong with them.
    broken: u64,
}

/// Fills events from items, and says how many, and which items contradict themselves.
pub(super) fn fill(arguments: &FillArgs, json: bool) -> Result<()> {
    let FillArgs { file, items, by, columns, out } = arguments;
    let stdin = Stdin::taken()?;
    let events = expand(std::slice::from_ref(file), Expected::Events, &stdin)?;
    let [events] = &events[..] else {
        return Err(Refused("`fill` takes one file of events".to_owned()).into());
    };
    let (of_event, of_item) = by.split_once('=').unwrap_or((by, by));
    let items = Items::read(items, of_item, columns)?;
    // Whole or not at all: who finds the file finds all of it.
    let part = out.with_extension("part");
    let written = || -> Result<Done> {
        let file = File::create(&part).with_context(|| format!("could not make `{}`", part.display()))?;
        let mut to = BufWriter::new(file);
        let done = items.fill(events, of_event, &mut to)?;
        to.into_inner()
            .map_err(|error| error.into_error())
            .and_then(|file| file.sync_all())
            .with_context(|| format!("could not write `{}`", part.display()))?;
        std::fs::rename(&part, out).with_context(|| format!("could not rename `{}`", part.display()))?;
        Ok(done)
    };
    let done = written().inspect_err(|_| drop(std::fs::remove_file(&part)))?;
    let contradicted = items.contradicted();
    if json {
        let columns: serde_json::Map<_, _> = contradicted.into_iter().map(|(name, n)| (name, json!(n))).collect();
        let Done { events, filled, broken } = done;
        say!("{}", json!({ "events": events, "filled": filled, "broken": broken, "contradicted": columns }));
        return Ok(());
    }
    say!("{} of {} events were filled in: {}", grouped(done.filled), grouped(done.events), out.display());
    if done.broken > 0 {
        say!("{} lines have more or fewer fields than the header, and stay as they are", grouped(done.broken));
    }
    for (name, items) in contradicted.into_iter().filter(|(_, items)| *items > 0) {
        say!("{} items have several values of `{name}`: the first counts", grouped(items));
    }
    Ok(())
}

/// A file with a header: its names, and the records behind it.
struct Table {
    records: csv::Reader<Box<dyn Read>>,
    separator: u8,
    header: Vec<String>,
}

/// What may stand between values.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

fn wrong(path: &Path) -> impl FnOnce(csv::Error) -> anyhow::Error + '_ {
    move |error| anyhow::Error::new(error).context(format!("could not read `{}`", path.display()))
}

impl Table {
    fn open(path: &Path) -> Result<Table> {
        let could_not = || format!("could not read `{}`", path.display());
        let file = File::open(path).with_context(could_not)?;
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        let content: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let (mut content, mut first) = (BufReader::new(content), Vec::new());
        content.read_until(b'\n', &mut first).with_context(could_not)?;
        let times = |separator: &u8| first.iter().filter(|byte| *byte == separator).count();
        let Some(separator) = SEPARATORS.into_iter().max_by_key(times).filter(|separator| times(separator) > 0) else {
            let why = format!("`{}` has no header of separated values, such as `product_id,brand`", path.display());
            return Err(Refused(why).into());
        };
        let content: Box<dyn Read> = Box::new(std::io::Cursor::new(first).chain(content));
        let mut records = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(content);
        let names = records.byte_headers().map_err(wrong(path))?;
        let header = names.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        Ok(Table { records, separator, header })
    }

    /// The next record; nothing at the end.
    fn next(&mut self, path: &Path) -> Result<Option<ByteRecord>> {
        let mut record = ByteRecord::new();
        Ok(self.records.read_byte_record(&mut record).map_err(wrong(path))?.then_some(record))
    }

    fn place(&self, name: &str, path: &Path) -> Result<usize> {
        let place = self.header.iter().position(|column| column == name);
        place.ok_or_else(|| {
            let why = format!("`{}` has no column `{name}`. It has {}.", path.display(), self.header.join(", "));
            Refused(why).into()
        })
    }
}

impl Items {
    /// Reads them all. `columns` are those that are wanted, as `name` or `name=name_of_the_item`; all if there are none.
    fn read(path: &Path, by: &str, columns: &[String]) -> Result<Items> {
        let mut table = Table::open(path)?;
        let key = table.place(by, path)?;
        let wanted: Vec<(String, usize)> = if columns.is_empty() {
            let others = table.header.iter().cloned().zip(0..).filter(|(_, place)| *place != key);
            others.collect()
        } else {
            let of = |column: &String| {
                let (name, of_item) = column.split_once('=').unwrap_or((column, column));
                Ok((name.to_owned(), table.place(of_item, path)?))
            };
            columns.iter().map(of).collect::<Result<_>>()?
        };
        let mut first = HashMap::<Box<[u8]>, Vec<First>>::new();
        while let Some(row) = table.next(path)? {
            let Some(key) = row.get(key).map(<[u8]>::trim_ascii).filter(|key| !key.is_empty()) else { continue };
            let known = first.entry(key.into()).or_insert_with(|| vec![First::default(); wanted.len()]);
            for (known, (_, place)) in known.iter_mut().zip(&wanted) {
                let value = row.get(*place).map_or(&b""[..], <[u8]>::trim_ascii);
                if known.value.is_empty() {
                    known.value = value.into();
                } else {
                    known.is_contradicted |= !value.is_empty() && *value != *known.value;
                }
            }
        }
        Ok(Items { columns: wanted.into_iter().map(|(name, _)| name).collect(), first })
    }

    /// Of each column, how many items have several values of it.
    fn contradicted(&self) -> Vec<(String, u64)> {
        let of = |(place, name): (usize, &String)| {
            let such = self.first.values().filter(|first| first[place].is_contradicted);
            (name.clone(), such.count() as u64)
        };
        self.columns.iter().enumerate().map(of).collect()
    }

    /// Writes the events of a file with what they leave out.
    fn fill(&self, path: &Path, by: &str, to: &mut impl Write) -> Result<Done> {
        let mut table = Table::open(path)?;
        let key = table.place(by, path)?;
        let fields = table.header.len();
        let mut header = table.header.clone();
        let places: Vec<usize> = self
            .columns
            .iter()
            .map(|name| {
                header.iter().position(|column| column == name).unwrap_or_else(|| {
                    header.push(name.clone());
                    header.len() - 1
                })
            })
            .collect();
        let unwritten = |error: csv::Error| anyhow::Error::new(error).context("could not write the events");
        let mut writer = csv::WriterBuilder::new().delimiter(table.separator).flexible(true).from_writer(to);
        writer.write_record(&header).map_err(unwritten)?;
        let mut done = Done::default();
        while let Some(event) = table.next(path)? {
            done.events += 1;
            if event.len() != fields {
                done.broken += 1;
                writer.write_byte_record(&event).map_err(unwritten)?;
                continue;
            }
            let mut values: Vec<&[u8]> = event.iter().collect();
            values.resize(header.len(), b"");
            let item = self.first.get(values[key].trim_ascii());
            let mut is_filled = false;
            for (place, first) in places.iter().zip(item.into_iter().flatten()) {
                if values[*place].trim_ascii().is_empty() && !first.value.is_empty() {
                    values[*place] = &first.value;
                    is_filled = true;
                }
            }
            done.filled += u64::from(is_filled);
            writer.write_record(values).map_err(unwritten)?;
        }
        writer.flush().context("could not write the events")?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn the_first_value_of_an_item_that_is_not_empty_fills_what_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let items = file(
            folder.path(),
            "item.csv",
            "product_id,category_code,brand\n7,,acme\n7,shoes,\n7,hats,acme\n8,,\n9,\"a,b\",\n,x,y\n",
        );
        let items = Items::read(&items, "product_id", &[]).expect("items");
        assert_eq!(items.contradicted(), [("category_code".to_owned(), 1), ("brand".to_owned(), 0)]);
        // It has a code of its own, none at all, an item that is unknown, and too few fields.
        let events = "event_time,product_id,category_code\nt1,7,own\nt2,7,\nt3,8,\nt4,5,\nt5,9,\nt6,7\n";
        let events = file(folder.path(), "events.csv", events);
        let mut filled = Vec::new();
        let done = items.fill(&events, "product_id", &mut filled).expect("filled");
        assert_eq!(done, Done { events: 6, filled: 3, broken: 1 });
        let expected = "event_time,product_id,category_code,brand\nt1,7,own,acme\nt2,7,shoes,acme\nt3,8,,\nt4,5,,\n\
                        t5,9,\"a,b\",\nt6,7\n";
        assert_eq!(String::from_utf8_lossy(&filled), expected);
    }

    #[test]
    fn columns_may_have_other_names_and_those_that_are_not_there_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "item.csv", "item_id;maker;extra\n7;acme;1\n");
        let items = Items::read(&path, "item_id", &["brand=maker".to_owned()]).expect("items");
        let events = file(folder.path(), "events.csv", "product_id,brand\n7,\n");
        let mut filled = Vec::new();
        items.fill(&events, "product_id", &mut filled).expect("filled");
        assert_eq!(filled, b"product_id,brand\n7,acme\n");
        let missing = items.fill(&events, "item", &mut Vec::new()).expect_err("missing").to_string();
        assert!(missing.contains("has no column `item`. It has product_id, brand."), "{missing}");
        let empty = file(folder.path(), "empty.csv", "");
        assert!(Items::read(&empty, "item_id", &[]).is_err());
    }
}
