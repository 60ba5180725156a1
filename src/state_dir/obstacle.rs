//! What stands in the way of going on from a state.

use dataflows::Time;

/// What stands in the way of going on from a state, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// What was written is not there.
    #[error("`{key}` is missing")]
    Missing {
        /// Under which key.
        key: String,
    },
    /// The place does not list what is written there.
    #[error(
        "{tried} numbers of starts up to {last} are taken that its list of `generations/` did not show; stop all runs but \
         one, and see whether the service lists what was written"
    )]
    Taken {
        /// How many numbers were tried.
        tried: usize,
        /// The last of them.
        last: u64,
    },
    /// A sink is another pipeline's.
    #[error(
        "it is of pipeline {ours}, and {sink} holds the rows of pipeline {theirs}. Name that one's state (`state_dir`), or \
         another place for the rows; if that one's state is lost, a new `state_dir` and `--rebuild`"
    )]
    AnothersRows {
        /// Whose state it is.
        ours: String,
        /// What operators know the sink by.
        sink: String,
        /// Whose rows it holds.
        theirs: String,
    },
    /// To compute everything again would lose what is not among the sources.
    #[error(
        "{sink} holds what was read from `{partition}`, which is not among the sources now, and would lose it. Give it too, \
         or give `--accept-loss`"
    )]
    WouldLose {
        /// What operators know the sink by.
        sink: String,
        /// `topic/partition`.
        partition: String,
    },
    /// A rebuild did not come to its end in every sink.
    #[error(
        "everything was computed again after epoch {after}, and not everything that rows go to is there. Run `--rebuild` \
         again"
    )]
    RebuiltSince {
        /// The epoch that it began after.
        after: Time,
    },
    /// A sink is further than the journal.
    #[error(
        "it ends with epoch {end}, and the warehouse is at epoch {at}: this is not the state that the warehouse was made \
         with, or some of it was lost. Put it back, or start from scratch with `--rebuild`"
    )]
    EndsBefore {
        /// The last epoch of the journal.
        end: Time,
        /// Where the sink is.
        at: Time,
    },
    /// A sink is further back than what is kept.
    #[error(
        "the warehouse is at epoch {at}, and what happened before epoch {kept_from} is not kept any more. Put the warehouse \
         back as it was, or start from scratch with `--rebuild`"
    )]
    NotKept {
        /// Where the sink is.
        at: Time,
        /// The first epoch that is kept.
        kept_from: Time,
    },
    /// What would be replayed was decoded otherwise.
    #[error(
        "epochs {first} to {last} were decoded by version {program} of the program and must be replayed by one that decodes \
         alike; run that one until it ends (SIGTERM), then this one"
    )]
    DecodedOtherwise {
        /// The first epoch to be replayed.
        first: Time,
        /// The last one.
        last: Time,
        /// The version that decoded them.
        program: String,
    },
    /// A record was rejected for a reason that this program does not know.
    #[error(
        "its journal says that record {offset} of `{partition}` was rejected in epoch {epoch} with `reason` `{reason}`, which \
         this version does not know. Run the version that wrote it, or start from scratch with `--rebuild`"
    )]
    UnknownReason {
        /// `topic/partition`.
        partition: String,
        /// Which record.
        offset: i64,
        /// Its epoch.
        epoch: Time,
        /// The reason.
        reason: String,
    },
    /// The tables mean something else.
    #[error(
        "what the tables mean has changed since it was written: {}. Set it back, or compute everything again from the first \
         record with `--rebuild`: only rows that differ are written",
        .differing.join(", ")
    )]
    MeansOther {
        /// What differs.
        differing: Vec<String>,
    },
    /// What was computed of the raw rows is not what they say.
    #[error(
        "`{table}` was to be computed of the raw rows, and {differing} of its rows were not what its SQL says of them. That is a \
         mistake of deltamart: please report it. Nothing was written; the rows of `{table}` are those of the end of the last \
         run, and all other tables are right. Leave it out (setting `tables`, or its file), or compute everything again from \
         the first record with `--rebuild`"
    )]
    FoldedOtherwise {
        /// Which table.
        table: &'static str,
        /// How many rows.
        differing: usize,
    },
    /// Raw rows are gone that a table would be computed of.
    #[error(
        "`{table}` is new or means something else, and cannot be computed of the raw rows: {why}. Leave it out or as it was{way}, or \
         compute everything again from the first record with `--rebuild`"
    )]
    RawIsGone {
        /// Which.
        table: &'static str,
        /// What is gone.
        why: String,
        /// What else can be done.
        way: &'static str,
    },
    /// A sink cannot have a table of another shape under the same name.
    #[error(
        "`{table}` has other columns or another key than before, and {sink} cannot make it anew within a commit. Give it \
         another name (that of its file): it is computed of the raw rows then, and what is there stays; or leave it as it was"
    )]
    AnotherShape {
        /// Which.
        table: &'static str,
        /// What operators know the sink by.
        sink: String,
    },
    /// Tables changed, and nothing was done about it.
    #[error(
        "{tables}: new, or computed otherwise than what was written. Start `run`, which computes them first; then ask again"
    )]
    ChangedMeanwhile {
        /// Which.
        tables: String,
    },
    /// Rows would be deleted that nobody can compute again.
    #[error(
        "`{table}` is new or computed otherwise, and old raw rows were removed (`[retention]`): {rows} rows of before cannot be \
         computed again. Have them kept as they are (`--keep-old`) or deleted (`--delete-old`), or leave the table as it was"
    )]
    OldRows {
        /// Which.
        table: &'static str,
        /// How many.
        rows: String,
    },
    /// A partition is another log of the same name.
    #[error(
        "`{partition}` is not the log that was read before: it was made again, or replaced by another of its name. Give the \
         old one back, name the new one otherwise, or start from scratch with `--rebuild`"
    )]
    AnotherLog {
        /// `topic/partition`.
        partition: String,
    },
    /// The simulated shop is another one.
    #[error(
        "another simulated shop was read before: `--events`, `--seed`, `--days`, `--start`, or settings that its events depend \
         on, were others. Give the same ones, or name another file with `--warehouse`, or start from scratch with `--rebuild`"
    )]
    AnotherShop,
    /// A partition was read as one family's, and is another's now.
    #[error(
        "`{partition}` was read as family `{was}`, and is given as family `{is}`: what was made of its records is not undone. \
         Give it as `{was}`, name the new log otherwise, or start from scratch with `--rebuild`"
    )]
    AnotherFamily {
        /// `topic/partition`.
        partition: String,
        /// As what it was read.
        was: String,
        /// As what it is given.
        is: String,
    },
    /// What must be read again is not among the sources.
    #[error(
        "the last run was interrupted while it read `{partition}`, which is not among the sources now. Give it too, so that \
         what was begun is finished"
    )]
    Unfinished {
        /// `topic/partition`.
        partition: String,
    },
    /// Something was or may be under way.
    #[error("{0}. Start it and let it end in order (SIGTERM, Ctrl-C or `--to-end`), then ask again")]
    NotAtRest(Unrest),
    /// What no operator of this program reads may name a user.
    #[error(
        "no operator of this program keeps `{name}`, so nobody can tell whom its {records} records name. Forget with the \
         version that wrote them"
    )]
    KeptByNobody {
        /// What is kept.
        name: String,
        /// How many records.
        records: u64,
    },
    /// The same person was begun to be forgotten in another way: sinks would differ.
    #[error(
        "`forget` of this user was broken off, and raw rows were to {}. End that first: ask again {} `--delete-raw`",
        if *.deletes_raw { "be deleted" } else { "stay, as nobody's" },
        if *.deletes_raw { "with" } else { "without" }
    )]
    ForgettingOtherwise {
        /// Whether they were to be deleted.
        deletes_raw: bool,
    },
    /// What an operator keeps cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Why a state is not at rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrest {
    /// There is no snapshot of its end.
    #[error("the last run did not end in order, or nothing was ever read")]
    NotEnded,
    /// A sink is elsewhere.
    #[error("it is at epoch {state}, and {sink} at epoch {at}")]
    SinkElsewhere {
        /// Where the state is.
        state: Time,
        /// What operators know the sink by.
        sink: String,
        /// Where that is.
        at: Time,
    },
    /// Somebody has written meanwhile.
    #[error("a run was under way meanwhile")]
    UnderWay,
}
