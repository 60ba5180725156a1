//! What an event costs, by the clock: `cargo test --release -p dataflows cost -- --ignored --nocapture`.

use super::harness::{MONDAY_MS, READER};
use super::pool::{INTEGER, MONEY, bx, c, columns, e, lit, num, text};
use crate::declared::family::{Known, Made, WithSettings};
use crate::declared::plan::*;
use crate::declared::row::{Datum, Declared};
use crate::events::{Logs, Origin};
use crate::family::Configured;
use crate::flow::{Inputs, Outputs};
use crate::operators::{Mark, Report};
use crate::state::Ledger;
use crate::time::{DAY_MS, Settings};
use std::time::Instant;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{Input, Probe};

fn is(kind: &str) -> Expr {
    e(Node::Compare(Compare::Equal, bx(c(1)), bx(text(kind))), Type::Boolean)
}

fn compare(what: Compare) -> Expr {
    e(Node::Compare(what, bx(c(3)), bx(num(0, 2))), Type::Boolean)
}

fn all(of: Vec<Expr>) -> Option<Expr> {
    Some(e(Node::And(of), Type::Boolean))
}

fn window(width: i64) -> Expr {
    e(Node::Floor(Window::Width(width), bx(c(0))), Type::Instant)
}

fn metric(name: String, filter: Option<Expr>, keys: Vec<Expr>, aggregates: Vec<(What, Option<Expr>)>) -> Metric {
    let output = |name: String, node, ty| Output { name, doc: "It.".to_owned(), value: e(node, ty) };
    let own = keys.iter().enumerate().map(|(n, key)| output(format!("key_{n}"), Node::Key(n), key.ty));
    let slots = aggregates.iter().enumerate().map(|(n, (what, _))| {
        let ty = if let What::Sum(_) = what { MONEY } else { INTEGER };
        output(format!("slot_{n}"), Node::Slot(n), ty)
    });
    let outputs = own.chain(slots).collect();
    let leaves = keys.iter().enumerate().filter_map(|(n, key)| {
        let Node::Floor(window, _) = key.node else { return None };
        Some((n, window))
    });
    Metric {
        name,
        doc: "It.".to_owned(),
        filter,
        leaves: leaves.collect(),
        keys,
        aggregates: aggregates.into_iter().map(|(what, filter)| Aggregate { what, filter }).collect(),
        having: None,
        outputs,
    }
}

/// Customers by the day on every event, four more metrics on purchases; and so many that read no event.
fn store(others: usize) -> Vec<Metric> {
    let count = |filter| (What::Count(None), filter);
    let sum = |filter| (What::Sum(c(3)), filter);
    let (bought, paid, refund) = (|| is("purchase"), || compare(Compare::GreaterOrEqual), || compare(Compare::Less));
    let by = |place| c(place);
    let coalesced = |place| e(Node::Coalesce(vec![c(place), text("unknown")]), Type::Text);
    let buyers = || (What::CountDistinct(c(2)), Some(paid()));
    let daily =
        vec![count(Some(is("view"))), count(Some(is("cart"))), count(all(vec![bought(), paid()])), sum(Some(bought()))];
    let products = vec![count(Some(paid())), sum(None), count(Some(refund()))];
    let brands = || vec![sum(None), count(Some(paid())), buyers()];
    let mut metrics = vec![
        metric("daily".to_owned(), None, vec![by(2), window(DAY_MS)], daily),
        metric("products".to_owned(), Some(bought()), vec![by(2), window(300_000)], products),
        metric("brands".to_owned(), Some(bought()), vec![window(DAY_MS), coalesced(4)], brands()),
        metric("days".to_owned(), Some(bought()), vec![window(DAY_MS)], brands()),
        metric("lifetime".to_owned(), Some(bought()), vec![by(2)], vec![count(Some(paid())), sum(None)]),
    ];
    for n in 0..others {
        let never = vec![
            is(&format!("never {n}")),
            e(Node::Not(bx(lit(Literal::Boolean(false), Type::Boolean))), Type::Boolean),
        ];
        metrics.push(metric(format!("other_{n}"), all(never), vec![window(DAY_MS)], vec![count(None)]));
    }
    metrics
}

fn events(count: u64) -> Vec<Declared> {
    let mut seed = 7u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let brands = ["samsung", "apple", "xiaomi", "huawei", "lucente", "bosch"];
    let events = (0..count).map(|n| {
        let at = MONDAY_MS + (n * 1000 / 4) as i64;
        let kind = if draw(1000) < 24 { "purchase" } else { ["view", "view", "view", "cart"][draw(4) as usize] };
        let user = 512_000_000 + draw(200_000).min(draw(200_000)) as i64;
        let row = [
            Datum::Instant(at),
            Datum::Text(kind.into()),
            Datum::Number(user),
            Datum::Number(draw(100_000) as i64 - 500),
            Datum::Text(brands[draw(6) as usize].into()),
            Datum::Null,
            Datum::Null,
        ];
        Declared { at, row: row.into_iter().collect() }
    });
    events.collect()
}

fn run(name: &str, others: usize, once: bool, events: &[Declared]) {
    let metrics = store(others);
    let known = metrics.iter().enumerate().map(|(n, _)| Known { sql: "", print: n as u64 }).collect();
    let once = once.then(|| Once { of: (0..columns().len()).collect() });
    let (name_, doc) = ("store_events".to_owned(), "It.".to_owned());
    let plan = Family { name: name_, doc, columns: columns(), time: 0, person: Some(2), once, metrics };
    let family = Made::leaked(plan, known, &READER);
    let lane = Settings { lateness_ms: Some(3_600_000), raw: false, ..Settings::default() };
    let with = WithSettings { family, lane };
    let events: Vec<Box<Declared>> = events.iter().cloned().map(Box::new).collect();
    let count = events.len();
    let began = Instant::now();
    let (changed, live) = timely::execute_directly(move |worker| {
        let (ledger, probe) = (Ledger::restoring_at(1), ProbeHandle::new());
        let (mut gate, mut reports, mut marks, changes) = worker.dataflow(|scope| {
            let (reports, of_reports) = scope.new_input::<Vec<Report>>();
            let (marks, of_marks) = scope.new_input::<Vec<Mark>>();
            let logs = Logs { partitions: vec![("store_events".to_owned(), 0)], sequence: 0..0 };
            let inputs = Inputs { logs, reports: of_reports, marks: of_marks };
            let (gate, Outputs { changes, closed, .. }) = with.build(scope, inputs, &ledger);
            closed.probe_with(&probe);
            (gate, reports, marks, changes)
        });
        ledger.is_restored();
        let (mut time, mut changed, mut n) = (2, 0, 0);
        let mut last = MONDAY_MS;
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            gate.advance_to(time);
            reports.advance_to(time);
            for event in events.by_ref().take(262_144) {
                last = event.at;
                gate.take(event, false);
                gate.enter(Origin { partition: 0, offset: n, slot: (0, 0) });
                n += 1;
            }
            reports.send(Report::Known { watermark: last, target: last });
            gate.advance_to(time + 1);
            marks.advance_to(time + 1);
            reports.advance_to(time + 1);
            reports.flush();
            worker.step_while(|| probe.less_than(&(time + 1)));
            let of_epoch = changes.borrow_mut().remove(&time).unwrap_or_default();
            changed += of_epoch.into_iter().map(|table| table.expect("no bug").1.len()).sum::<usize>();
            time += 2;
        }
        (changed, ledger.live())
    });
    let nanos = began.elapsed().as_nanos() / count as u128;
    println!("{name}: {nanos} ns an event, {changed} rows changed, {live:?}");
}

#[test]
#[ignore = "it measures"]
fn what_an_event_costs() {
    let events = events(3_000_000);
    for _ in 0..2 {
        run("five metrics", 0, false, &events);
        run("five, and twenty that read nothing", 20, false, &events);
        run("five, once", 0, true, &events);
    }
}
