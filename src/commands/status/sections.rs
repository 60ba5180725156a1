//! What `status` says of each subject, and whether all is well there.

use super::said::{Asks, Section, indented, labelled};
use super::{Committed, Journaled, Snapshot, Status};
use crate::cli::Subject;
use crate::commands::beat::{self, Fed, Heartbeat};
use crate::commands::left;
use crate::commands::text::{count, grouped, sized};
use crate::config::Config;
use crate::instant::{self, span};
use crate::sink::sqlite::quality::OfHour;
use crate::source::Trouble;
use crate::source::dropped::file_and_line;
use crate::state_dir::Lost;
use crate::stats::processes::OfProcess;
use dataflows::quality::Counts;
use dataflows::time::START;

/// A run that has not reported for so many of its beats is asked after.
const BEATS: i64 = 10;
/// A snapshot that is so many times later than it should be is asked after.
const SNAPSHOTS: i64 = 3;
/// If more of a hundred records of a topic are rejected, that is asked after, where no setting says how many may be.
const REJECTED_PERCENT: u64 = 1;
/// What a start complains of that waits.
const OF_START: &str = "start";

/// Every section, in the order in which they are shown; one that has nothing to say is not there. `crossed` are the
/// thresholds of the run that are.
pub(super) fn sections(config: &Config, status: &Status, crossed: &[String]) -> Vec<Section> {
    let sections = [
        Some(run(config, status, crossed)),
        Some(sources(status)),
        Some(watermark(config, status)),
        Some(sinks(status)),
        Some(quality(config, status)),
        tables(config, status),
        Some(state(config, status)),
        Some(memory(status)),
        Some(workers(status)),
    ];
    sections.into_iter().flatten().collect()
}

/// Help where something is wrong.
fn help(is_wrong: bool) -> Asks {
    if is_wrong { Asks::Help } else { Asks::Nothing }
}

fn ago(at: &str) -> String {
    format!("{} ago", span_since(at))
}

/// How long ago an instant is.
fn span_since(at: &str) -> String {
    instant::parse(at).map_or("?".to_owned(), |at| rounded(instant::now() - at))
}

/// A span as people say it.
fn rounded(ms: i64) -> String {
    let unit = match ms {
        ..1_000 => 1,
        1_000..60_000 => 1_000,
        60_000..3_600_000 => 60_000,
        _ => 3_600_000,
    };
    span::show(ms.max(0) / unit * unit)
}

fn trouble(Trouble { said, since, .. }: &Trouble) -> String {
    labelled("error", &format!("{said}; since {since}, {}", ago(since)))
}

impl Status {
    /// The run, if it works now.
    fn running(&self) -> Option<&Heartbeat> {
        self.run.as_ref().filter(|run| !run.ended && !self.run_is_gone)
    }
}

fn run(config: &Config, status: &Status, crossed: &[String]) -> Section {
    let mut asks = help(!crossed.is_empty());
    let mut more: Vec<_> = crossed.iter().map(|said| labelled("limit", said)).collect();
    let said = match &status.run {
        None => "nothing is known of it".to_owned(),
        Some(run) if run.ended => format!("ended normally, {}", ago(&run.at)),
        Some(run) if status.run_is_gone => {
            asks = Asks::Help;
            format!("process {} is gone; it did not end normally; last report {}", run.process, ago(&run.at))
        }
        Some(run) => {
            let every_ms = beat::interval(&config.state_place()).as_millis() as i64;
            let silent_ms = instant::parse(&run.at).map_or(0, |at| instant::now() - at);
            let starts: Vec<_> = run.troubles.iter().filter(|trouble| trouble.of == OF_START).collect();
            if silent_ms > BEATS * every_ms || !starts.is_empty() {
                asks = Asks::Help;
            }
            more.extend(starts.into_iter().map(trouble));
            more.push(indented(&format!("it reports every {}", span::show(every_ms))));
            more.push(indented(&format!("{} read by it", count(run.records, "record"))));
            let rate = run.rate_in.map_or(String::new(), |rate| format!("{}/s, ", grouped(rate.round() as u64)));
            let fresh = span::show(i64::try_from(run.fresh_ms).unwrap_or(i64::MAX));
            format!("process {}, {rate}fresh {fresh}; last report {}", run.process, ago(&run.at))
        }
    };
    Section { subject: Subject::Run, said, more, asks }
}

/// Where reading is in a partition, and what of it is not committed.
fn position(status: &Status, sink: &Committed, partition: &str, next: i64) -> String {
    let behind = sink.behind.get(partition);
    if status.folders.contains(partition) {
        let (file, line) = file_and_line(next);
        let behind = if behind.is_some() { "; more was read, and is not committed" } else { "" };
        return format!("{partition}: next file {}, line {}{behind}", grouped(file as u64), grouped(line as u64));
    }
    let behind = behind.map_or(String::new(), |n| format!("; {} read, not committed", grouped(n.unsigned_abs())));
    let what = if status.lines.contains(partition) { "line" } else { "offset" };
    format!("{partition}: next {what} {}{behind}", grouped(next.max(0) as u64))
}

fn sources(status: &Status) -> Section {
    let warehouse = status.sinks.first();
    let positions = warehouse
        .into_iter()
        .flat_map(|sink| sink.positions.iter().map(|(partition, next)| position(status, sink, partition, *next)));
    let positions: Vec<_> = positions.collect();
    let mut said = match &positions[..] {
        [] => "nothing is committed yet".to_owned(),
        [one] => one.clone(),
        more => count(more.len() as u64, "partition"),
    };
    let (running, mut more) = (status.running(), Vec::new());
    more.extend(running.into_iter().flat_map(Heartbeat::sources_wait_for).map(|what| labelled("waits", what)));
    let unread = status.run.iter().flat_map(|run| &run.unread);
    more.extend(unread.map(|what| labelled("unread", what)));
    let troubles = running.into_iter().flat_map(|run| &run.troubles).filter(|trouble| trouble.of != OF_START);
    more.extend(troubles.map(trouble));
    let asks = match () {
        () if !more.is_empty() => Asks::Help,
        () if !status.lost.is_empty() => Asks::Knowing,
        () => Asks::Nothing,
    };
    let lag = running.map(|run| &run.lag).filter(|lag| !lag.is_empty());
    if let Some(lag) = lag {
        let events = lag.iter().map(|behind| behind.events).sum::<u64>();
        let oldest = lag.iter().filter_map(|behind| behind.ms).max().unwrap_or_default();
        match events {
            0 => said += "; read to the end",
            _ => said += &format!("; {} not read yet, {} behind", grouped(events), rounded(oldest)),
        }
    }
    for (topic, rate) in running.into_iter().flat_map(|run| &run.rates_in) {
        more.push(labelled("rate", &format!("{topic}: {}/s", grouped(rate.round() as u64))));
    }
    for behind in lag.into_iter().flatten().filter(|behind| behind.events > 0) {
        let since = behind.ms.map_or(String::new(), |ms| format!(", {} behind", rounded(ms)));
        more.push(labelled("lag", &format!("{}: {} not read yet{since}", behind.topic, grouped(behind.events))));
    }
    for Lost { partition, from, to, noticed_at } in &status.lost {
        let (count, last) = (grouped((to - from).unsigned_abs()), to - 1);
        let of = format!("{partition}: {count} records, offsets {from} to {last}, deleted before they were read;");
        more.push(labelled("lost", &of));
        more.push(indented(&format!("passed by the start at {noticed_at} (`--accept-loss`): no table knows them")));
    }
    more.extend(positions.iter().map(|position| indented(position)));
    Section { subject: Subject::Sources, said, more, asks }
}

fn watermark(config: &Config, status: &Status) -> Section {
    let silent = status.running().map(|run| &run.silent).into_iter().flatten();
    let watermarks = status.journal.as_ref().map(|journal| &journal.watermarks);
    let mut more = Vec::new();
    for (family, since) in silent {
        let begun = watermarks.map(|watermarks| watermarks.of(family)).filter(|watermark| *watermark > START);
        let said = format!("that of `{family}`: for {} no partition has had anything new;", span_since(since));
        more.push(labelled("stands", &said));
        more.push(indented(&match begun {
            Some(at) => format!("events that are later than {} move it", instant::show(at + config.out_of_orderness)),
            None => "it has not begun: the next events of any partition begin it".to_owned(),
        }));
    }
    let asks = help(!more.is_empty());
    let said = match watermarks {
        None => "none yet".to_owned(),
        Some(watermarks) => match watermarks.0.len() {
            0 | 1 => instant::show(watermarks.least()),
            families => format!("{}, the least of {families}", instant::show(watermarks.least())),
        },
    };
    let said = if asks == Asks::Help { format!("{said}; it stands") } else { said };
    let each = watermarks.into_iter().flat_map(|watermarks| &watermarks.0);
    more.extend(each.map(|(family, at)| indented(&format!("{family}: {}", instant::show(*at)))));
    Section { subject: Subject::Watermark, said, more, asks }
}

fn sinks(status: &Status) -> Section {
    let mut more = Vec::new();
    let fed: &[Fed] = status.running().map_or(&[], |run| &run.sinks);
    let mut waiting = 0;
    for Fed { name, waits_for, waits_since, .. } in fed {
        if let Some(why) = waits_for {
            waiting += 1;
            let since = waits_since.as_ref().map_or(String::new(), |since| format!("; since {since}, {}", ago(since)));
            let why = if why.contains(name) { why.clone() } else { format!("`{name}`: {why}") };
            more.push(labelled("waits", &format!("{why}{since}")));
        }
    }
    let asks = help(waiting > 0 || !status.unheard.is_empty());
    for Committed { sink, epoch, at, watermarks, behind, .. } in &status.sinks {
        more.push(indented(&format!("`{sink}`: epoch {epoch}, {}; watermark {watermarks}", ago(at))));
        let behind = behind.iter().map(|(partition, n)| match status.folders.contains(partition) {
            true => indented(&format!("  {partition}: more was read, and is not committed")),
            false => indented(&format!("  {partition}: {} read, not committed", grouped(n.unsigned_abs()))),
        });
        more.extend(behind);
    }
    more.extend(status.unheard.iter().map(|why| indented(why)));
    let pending = fed.iter().map(|sink| sink.pending_bytes).sum::<u64>();
    let mut said = match &status.sinks[..] {
        [] => "none has anything yet".to_owned(),
        [one] => format!("`{}`: epoch {}, {}", one.sink, one.epoch, ago(&one.at)),
        [first, ..] => {
            let epochs = status.sinks.iter().map(|sink| sink.epoch);
            let (least, most) = (epochs.clone().min().unwrap_or_default(), epochs.max().unwrap_or_default());
            let epochs = if least == most { format!("epoch {least}") } else { format!("epochs {least} to {most}") };
            format!("{}, {epochs}; the warehouse's last commit {}", status.sinks.len(), ago(&first.at))
        }
    };
    if pending > 0 {
        said += &format!("; {} wait for them", sized(pending));
    }
    Section { subject: Subject::Sinks, said, more, asks }
}

fn quality(config: &Config, status: &Status) -> Section {
    let is_bad = |Counts { accepted, rejected, .. }: Counts| match config.quality.min_valid > 0.0 {
        true => config.quality.is_crossed_by(Counts { accepted, rejected, late: 0 }),
        false => rejected * 100 > (accepted + rejected) * REJECTED_PERCENT,
    };
    let asks = help(status.quality.iter().any(|of| is_bad(of.counts)));
    let mut more = Vec::new();
    for OfHour { topic, hour, counts } in status.quality.iter().filter(|of| of.counts.rejected > 0) {
        let Counts { accepted, rejected, late } = counts;
        let all = count(accepted + rejected, "record");
        let (rejected, late) = (grouped(*rejected), grouped(*late));
        more.push(indented(&format!("{topic}: {rejected} of {all} rejected, {late} late, in the hour from {hour}")));
    }
    let said = match &status.run {
        None => "nothing is known of the last run".to_owned(),
        Some(run) => {
            let mut reasons: Vec<_> = run.rejected.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let of_run =
                reasons.into_iter().map(|(reason, count)| format!("{reason}: {} by this run", grouped(*count)));
            more.extend(of_run.map(|reason| indented(&reason)));
            let (all, late) = (count(run.records, "record"), grouped(run.late));
            format!("{all} read by it; {late} late, {} rejected", grouped(run.rejected.values().sum()))
        }
    };
    Section { subject: Subject::Quality, said, more, asks }
}

/// Tables that are not whole, and those that nobody keeps.
fn tables(config: &Config, status: &Status) -> Option<Section> {
    let whole = status.whole_since.iter().map(|(table, since)| {
        let why = "older events were not stored any more when it was computed";
        labelled("whole", &format!("{table}: from {since} on; {why}"))
    });
    let left = status.left.iter().map(|left| labelled("left", &left::said(config, left)));
    let more: Vec<_> = whole.chain(left).collect();
    let not_whole = match status.whole_since.len() {
        0 => None,
        1 => Some("1 is not whole".to_owned()),
        more => Some(format!("{more} are not whole")),
    };
    let left = match status.left.len() {
        0 => None,
        1 => Some("1 is kept by nobody any more".to_owned()),
        more => Some(format!("{more} are kept by nobody any more")),
    };
    let said: Vec<_> = not_whole.into_iter().chain(left).collect();
    (!more.is_empty()).then(|| Section { subject: Subject::Tables, said: said.join("; "), more, asks: Asks::Knowing })
}

fn state(config: &Config, status: &Status) -> Section {
    let away = status.running().and_then(|run| run.journal_waits_for.as_ref());
    let mut more: Vec<_> = away.iter().map(|why| labelled("waits", why)).collect();
    let mut said = "nothing is in the journal yet".to_owned();
    let mut is_overdue = false;
    if let Some(Journaled { epoch, at, since_snapshot, .. }) = &status.journal {
        let epochs = count(*since_snapshot as u64, "epoch");
        let replays = match (&status.snapshot, since_snapshot) {
            (None, _) => "no snapshot yet, a restart replays everything".to_owned(),
            (Some(_), 0) => "a restart reads nothing again".to_owned(),
            (Some(_), _) => format!("a restart replays {epochs}"),
        };
        said = format!("epoch {epoch}, {}; {replays}", ago(at));
        more.push(labelled("journal", &format!("epoch {epoch}, {}; {epochs} since the last snapshot", ago(at))));
        if let (Some(snapshot), Some(_)) = (&status.snapshot, status.running())
            && let (Some(cut), Some(last)) = (instant::parse(&snapshot.at), instant::parse(at))
        {
            is_overdue = last - cut > SNAPSHOTS * config.snapshot_interval;
        }
    }
    more.push(indented(&match &status.snapshot {
        Some(Snapshot { epoch, at, records, bytes, .. }) => {
            let (records, bytes) = (count(*records, "record"), sized(*bytes));
            format!("snapshot of epoch {epoch}, {}; {records}, {bytes}", ago(at))
        }
        None => "no snapshot yet: a restart replays everything".to_owned(),
    }));
    if is_overdue {
        let every = span::show(config.snapshot_interval);
        more.push(labelled(
            "late",
            &format!("a snapshot is due every {every} (`snapshot_interval`); the log says why"),
        ));
    }
    more.push(indented(&format!("in `{}`", status.state)));
    Section { subject: Subject::State, said, more, asks: help(away.is_some() || is_overdue) }
}

fn memory(status: &Status) -> Section {
    let (mut said, mut more) = ("nothing is known of it".to_owned(), Vec::new());
    if let Some(run) = &status.run {
        let mut live: Vec<_> = run.live.iter().filter(|(_, count)| **count > 0).collect();
        live.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let records = count(live.iter().map(|(_, count)| **count as u64).sum(), "record");
        let bytes = run.resident_bytes.map_or(String::new(), |bytes| format!(", {}", sized(bytes)));
        let last = if status.running().is_some() { "" } else { ", when it was last heard of" };
        said = format!("{records} in {}{bytes}{last}", count(live.len() as u64, "operator"));
        more.extend(live.into_iter().map(|(name, count)| indented(&format!("{name}: {}", grouped(*count as u64)))));
    }
    Section { subject: Subject::Memory, said, more, asks: Asks::Nothing }
}

fn workers(status: &Status) -> Section {
    let (mut said, mut more, mut is_wrong) = ("nothing is known of them".to_owned(), Vec::new(), false);
    if let Some(run) = &status.run {
        said = grouped(run.workers as u64);
        if !run.processes.is_empty() {
            said = format!("{} processes of {said}", run.processes.len());
        }
        if status.running().is_some() {
            if !run.busy_share.is_empty() {
                let of = run.busy_share.values().map(percent);
                let (least, most) = (of.clone().fold(100.0, f64::min), of.fold(0.0, f64::max));
                said += &if least == most { format!(", busy {most} %") } else { format!(", busy {least} to {most} %") };
            }
            if !run.stuck_ms.is_empty() {
                (said, is_wrong) = (format!("{said}, {} stuck", run.stuck_ms.len()), true);
            }
            let each = (0..run.workers).filter_map(|number| Some(format!("worker {number}: {}", worker(run, number)?)));
            more.extend(each.map(|worker| indented(&worker)));
            for one in &run.processes {
                more.push(indented(&process(one)));
                if let (Some(why), Some(ms)) = (&one.slow, one.slow_ms) {
                    let (number, host, lasts) = (one.process, &one.host, rounded(ms as i64));
                    more.push(labelled("slow", &format!("process {number} ({host}): {why}; waited for since {lasts}")));
                    is_wrong = true;
                }
            }
            let slow = run.processes.iter().filter(|one| one.slow.is_some()).count();
            if slow > 0 {
                said += &format!(", {} waited for", count(slow as u64, "process"));
            }
        }
    }
    Section { subject: Subject::Workers, said, more, asks: help(is_wrong) }
}

/// How busy a worker is, or for how long it has not come back from what it computes.
fn worker(run: &Heartbeat, number: usize) -> Option<String> {
    let busy = run.busy_share.get(&number).map(|share| format!("busy {} %", percent(share)));
    let stuck = run.stuck_ms.get(&number).map(|ms| format!("stuck for {}", span::show(*ms as i64)));
    let all: Vec<_> = busy.into_iter().chain(stuck).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What a process of a run holds, and when it was heard of.
fn process(one: &OfProcess) -> String {
    let busy = one.busy_share.as_ref().map(|share| format!("busy {} %", percent(share)));
    let bytes = one.resident_bytes.map(sized);
    let records = format!("{} in memory", count(one.live_records, "record"));
    let heard = format!("heard of {} ago", rounded(one.heard_ms as i64));
    let all: Vec<_> = busy.into_iter().chain([records]).chain(bytes).chain([heard]).collect();
    format!("process {} ({}): {}", one.process, one.host, all.join(", "))
}

fn percent(share: &f64) -> f64 {
    (100.0 * share).round()
}
