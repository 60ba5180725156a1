//! Events of the families that a model declares, as lines of JSON or of separated values. The web store and the media
//! service have users who do something; of any other family each column is drawn as its file declares it.

mod arrivals;
mod drawn;
mod media;
mod store;
mod text;

use crate::config::Config;
use crate::model::load::Loaded;
use arrivals::Arrivals;
use drawn::Drawn;
use media::Media;
use rand_chacha::ChaCha8Rng;
use store::Store;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object on each line.
    Json,
    /// Values by commas, behind a header.
    Csv,
}

/// What is wrong with a record that must be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// The end is missing.
    Cut,
    /// It is a line of a web page.
    Page,
    /// Its time is none.
    NoTime,
    /// What only records of this kind can have.
    Own(u8),
}

/// Those that every kind has.
const FLAWS: [Flaw; 3] = [Flaw::Cut, Flaw::Page, Flaw::NoTime];

/// Who make the events of a family, one visit after the other.
trait Scene {
    /// An event without its time.
    type Event: Clone;

    /// About how many events a visit makes.
    fn per_visit(&self) -> f64;

    /// What a visit makes that begins then, each with its time.
    fn visit(&mut self, random: &mut ChaCha8Rng, at: i64, made: &mut Vec<(i64, Self::Event)>);

    /// The names of separated values; nothing if the events cannot be written so.
    fn header(&self) -> Option<String>;

    /// How many flaws are its own.
    fn own_flaws(&self) -> u8;

    /// Writes an event as a line without its end. Of the flaws it knows [`Flaw::NoTime`] and its own.
    fn write(&mut self, event: &Self::Event, at: i64, flaw: Option<Flaw>, form: Form, line: &mut Vec<u8>);

    /// Whose it is.
    fn person(&self, event: &Self::Event) -> u64;
}

/// What was planted into the lines that were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Records that are rejected.
    pub malformed: u64,
    /// Records that are equal to one before them.
    pub repeated: u64,
    /// Events that are older than `lateness` allows.
    pub too_late: u64,
}

/// The events of a family in the order in which they come.
pub trait Lines {
    /// The first line of separated values; nothing if the events cannot be written so.
    fn header(&self) -> Option<String>;

    /// Writes the next one without the end of its line, and tells whose it is; nothing at the end.
    fn write_next(&mut self, line: &mut Vec<u8>) -> Option<u64>;

    /// What was planted until now.
    fn planted(&self) -> Planted;
}

/// The events of a family, by the settings of `[simulate]` and `[simulate_model]`.
pub fn lines(config: &Config, loaded: &Loaded, form: Form) -> Box<dyn Lines> {
    let readings = &loaded.events.readings;
    // Of a family that is called like one of ours, and has a column that is read of something else.
    let knows = |fields: &[&str]| readings.iter().all(|reading| reading.from.iter().any(|from| fields.contains(from)));
    match loaded.events.family.name.as_str() {
        store::FAMILY if knows(store::FIELDS) => Box::new(Arrivals::new(config, loaded, Store::new(config), form)),
        media::FAMILY if knows(media::FIELDS) => Box::new(Arrivals::new(config, loaded, Media::new(config), form)),
        _ => Box::new(Arrivals::new(config, loaded, Drawn::new(config, loaded.events), form)),
    }
}
