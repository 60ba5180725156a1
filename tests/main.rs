//! All integration tests, in one binary.

mod support;

/// Random texts of SQL, and random values.
#[path = "../src/model/tests/dice.rs"]
mod dice;
/// How often they were made of what.
#[path = "../src/model/tests/drawn.rs"]
mod drawn;
/// What plans say, by plain loops.
#[path = "../src/model/tests/naive.rs"]
mod naive;

/// The archive: crashed anywhere, chopped anyhow, and read by others.
mod archive;
/// Nothing that arrives stops the run, and everything is somewhere.
mod bad_input;
/// What an earlier version left.
mod before;
/// Memory levels off while the store grows.
mod bounded;
/// What is too long, too many, too deep: nothing of it takes more than its bound.
mod bounds;
/// State and feed in a bucket whose service fails, refuses, lags or is no bucket's.
#[cfg(feature = "object-store")]
mod bucket;
/// What programs that call it see: exit codes, JSON, and what may be given to be read.
mod callers;
/// Named cases per metric: the deltas of every epoch, step by step.
mod cases;
/// Catalogs: where items begin, and from when on their prices count.
mod catalog;
/// Tables that change from start to start, each start killed anywhere.
mod changes;
/// A model that changes between two runs, by the program as it is used.
mod changing;
/// Clean events as Parquet: killed anywhere, chopped anyhow, each once.
mod clean;
/// The program itself, as it is used.
mod cli;
/// One suite for every sink, one for every source.
mod contracts;
/// Killed anywhere, at every step, in every order.
mod crashes;
/// Separated values as events of a model, by the program as it is used.
mod csv;
/// The file that rows go to: damaged, held by somebody, without room, open to others.
mod damage;
/// Declared families: random metrics over random histories, from start to start.
mod declared;
/// The README and docs: short, linked, and as the code declares.
mod docs;
/// A folder that is watched: killed at every step, and whatever is done to it meanwhile.
mod dropped;
/// What the same record twice does, as the page in `docs/` says.
mod duplicates;
/// Somebody of a declared family is forgotten in the middle of its history, and tables are what their SQL says.
mod erased;
/// The Parquet feed: crashed anywhere, superseded anywhere, broken, and read by DuckDB.
mod feed;
/// The Parquet feed without a SQLite file beside it.
mod feed_alone;
/// A file that is followed, line by line and from name to name.
mod followed;
/// A user is forgotten, everywhere.
mod forget;
/// Persons of declared families are forgotten, by the program as it is used.
mod forgotten;
/// What is written down, byte by byte.
mod formats;
/// One record, millions of rows: decades between two events.
mod gaps;
/// History that is told again, in order and once.
mod history;
/// Kafka and the Schema Registry, real ones and such as fail.
mod kafka;
/// The program itself, killed over and over.
mod kills;
/// What the late events of a warehouse would have changed.
mod late;
/// What is late in files is a function of the files.
mod lateness;
/// A table that nobody keeps any more is named, and goes where that is asked for.
mod left;
/// Files, whatever they are packed in and however they are written, and such as are something else.
mod lines;
/// Who looks on at what is committed has the tables.
mod looking_on;
/// However many tables there are, each is its own.
mod many_tables;
/// No e-mail address is stored, however it is written and wherever it stands.
mod masking;
/// What is rejected or refused is told why, in these words.
mod messages;
/// The view of every minute equals the table of before.
mod minutes;
/// Events and metrics that users declare in files, by the program as it is used.
mod model;
/// The movie shop's events under other names, and by wider rules.
mod names;
/// Incremental equals from-scratch: each metric's SQL over random histories.
mod oracle;
/// The page of each event.
mod pages;
/// Each keyed operator equals its plain form, which forgets nothing, after every epoch.
mod plain;
/// A record whose schema cannot be had, and a registry that answers this of one and that of another.
mod poison;
/// A setting may change where nothing that is kept has to do with it, and nowhere else.
mod prints;
/// How many records of each topic were accepted, rejected and late, hour by hour.
mod quality;
/// The real catalog, where it is there.
mod real_data;
/// What is not kept forever goes, and no metric knows.
mod retention;
/// A second run on one state, one that was killed, two at once; and a rebuild that was left.
mod second;
/// DuckDB reads the user's own text: over the feed, and over the file itself.
mod second_reader;
/// A secret in the wrong place is said nowhere.
mod secrets;
/// The page, the API and the metrics, asked over HTTP.
mod serve;
/// Settings explain themselves: mistakes are named all at once, values with where they come from.
mod settings;
/// One run of several processes, which are real.
mod several;
/// The models that come with the program, from any folder.
mod shipped;
/// `show` and `sql`: rows for people and for programs.
mod show;
/// The simulated shop is beside nothing else, and what it says to do next works.
mod simulated;
/// Snowflake, as far as a stand-in shows it.
#[cfg(feature = "snowflake")]
mod snowflake;
/// A source is known by its content, wherever it lies and however it is packed.
mod sources;
/// Nothing of the data is acted on by a terminal.
mod terminal;
/// What must stay together stays together.
mod tidy;
/// A second family of events beside the shop.
mod toys;
/// A sink that is unavailable, slow, broken or taken over; a source that fails.
mod trouble;
/// Numbers, instants and money in all their writings.
mod values;
