//! How long does a snapshot of about a million live records hold up the epochs it is taken under?
//!
//! One worker computes the simulated shop, all tables, and forgets nothing; then epochs of 250 events,
//! first alone and then with a slice of a snapshot between any two, as a worker takes it.

use dataflows::Time;
use dataflows::events::{Arrival, Event, Logs, Origin};
use dataflows::flow::Inputs;
use dataflows::operators::{Mark, Report, Status, TopTwo};
use dataflows::shop::Settings;
use dataflows::shop::build;
use dataflows::state::{Frozen, Ledger};
use deltamart::accept::accept;
use deltamart::config::Config;
use deltamart::simulate::{Simulator, items, items_of};
use deltamart::source::movies::Movies;
use deltamart::source::{Partition, Poll, Source};
use deltamart::state_dir::{StateDir, snapshot};
use deltamart::store::local::Local;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Handle<D> = InputHandle<Time, CapacityContainerBuilder<Vec<D>>>;

/// So many records are live before anything is measured, about.
const LIVE: usize = 1_000_000;
const LIVE_EPOCH: usize = 250;
/// So many epochs are measured alone.
const EPOCHS: usize = 3000;
const SNAPSHOTS: usize = 5;
/// So long a worker writes at a time.
const SLICE: Duration = Duration::from_millis(1);
const PART_BYTES: usize = 4 << 20;

struct Shop {
    source: Simulator,
    partitions: Vec<Partition>,
}

impl Shop {
    fn open() -> Shop {
        let mut config = Config::default();
        let shop = &mut config.simulate;
        (shop.events, shop.days, shop.new_user_permille) = (6_000_000, 3, 300.0);
        (shop.malformed_permille, shop.too_late_permille) = (0.0, 0.0);
        let catalog = Movies::text("Movies.txt", items::movies_txt(20_000, 7).leak(), config.simulate.start - 1);
        let source = Simulator::new(&config, items_of(catalog).expect("a catalog"));
        let partitions = source.partitions();
        Shop { source, partitions }
    }

    fn next(&mut self, records: usize) -> Vec<Arrival<Event>> {
        let mut arrivals = Vec::new();
        while arrivals.len() < records {
            match self.source.poll(records - arrivals.len()).expect("the shop is open") {
                Poll::Records(batch) => arrivals.extend(batch.records.iter().filter_map(|record| {
                    let payload = &batch.bytes[record.payload.clone()];
                    let format = &self.partitions[record.partition as usize].format;
                    let event = accept(format, payload, &Default::default(), i64::MAX).ok()?.event;
                    let origin = Origin { partition: record.partition, offset: record.offset, slot: (0, 0) };
                    Some(Arrival { origin, event })
                })),
                Poll::End => panic!("the shop closed before there was enough"),
                _ => {}
            }
        }
        arrivals
    }
}

struct Flow<'a> {
    worker: &'a mut Worker,
    arrivals: Handle<Arrival<Event>>,
    reports: Handle<Report>,
    probe: ProbeHandle<Time>,
    ledger: Ledger,
    epoch: Time,
}

impl Flow<'_> {
    fn build<'a>(worker: &'a mut Worker, settings: &Settings, logs: Logs) -> Flow<'a> {
        let ledger = Ledger::default();
        let (mut arrivals, mut reports, probe) = worker.dataflow(|scope| {
            let (arrivals_in, arrivals) = scope.new_input::<Vec<Arrival<Event>>>();
            let (reports_in, reports) = scope.new_input::<Vec<Report>>();
            let (_, marks) = scope.new_input::<Vec<Mark>>();
            let inputs = Inputs { logs, reports, marks };
            let (probe, _) = build(arrivals, inputs, settings, &ledger).closed.probe();
            (arrivals_in, reports_in, probe)
        });
        ledger.is_restored();
        arrivals.advance_to(2);
        reports.advance_to(2);
        Flow { worker, arrivals, reports, probe, ledger, epoch: 2 }
    }

    /// Computes an epoch; tells how long that took.
    fn epoch(&mut self, mut events: Vec<Arrival<Event>>) -> Duration {
        let began = Instant::now();
        for arrival in events.iter().filter(|arrival| arrival.event.carries_time()) {
            let (partition, at) = (arrival.origin.partition, arrival.event.timestamp());
            self.reports.send(Report::Partition {
                partition,
                seen: Some((at, TopTwo::of(at))),
                status: Status::Live,
                idle: false,
            });
        }
        self.reports.send(Report::Closed);
        self.arrivals.send_batch(&mut events);
        self.epoch += 2;
        self.arrivals.advance_to(self.epoch);
        self.reports.advance_to(self.epoch);
        self.arrivals.flush();
        self.reports.flush();
        while self.probe.less_than(&(self.epoch - 1)) {
            self.worker.step();
        }
        began.elapsed()
    }

    fn live(&self) -> usize {
        self.ledger.live().iter().map(|(_, live)| live).sum()
    }
}

/// Slices for about a millisecond, as they are written down; tells whether there may be more.
fn slices(frozen: &mut Frozen, bytes: &mut Vec<u8>, records: &mut usize, longest: &mut Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < SLICE {
        let slice = Instant::now();
        let Some(section) = frozen.next() else { return false };
        *records += section.records as usize;
        snapshot::encode(&section, bytes);
        *longest = slice.elapsed().max(*longest);
    }
    true
}

fn show(what: &str, mut epochs: Vec<Duration>) -> Duration {
    epochs.sort_unstable();
    let ms = |at: usize| epochs[at].as_secs_f64() * 1e3;
    let (half, most, last) = (epochs.len() / 2, epochs.len() * 99 / 100, epochs.len() - 1);
    println!("{what}: {} epochs, median {:.2} ms, p99 {:.2}, longest {:.2}", last + 1, ms(half), ms(most), ms(last));
    epochs.iter().sum::<Duration>() / epochs.len() as u32
}

fn measure(worker: &mut Worker) {
    // Nothing is too late to matter: whatever comes stays.
    let lane = dataflows::Settings { raw: false, lateness_ms: Some(30 * 86_400_000), ..Default::default() };
    let settings = Settings { lane, ..Settings::default() };
    let mut shop = Shop::open();
    let partitions = shop.partitions.iter().map(|partition| (partition.topic.clone(), partition.partition)).collect();
    let mut flow = Flow::build(worker, &settings, Logs { partitions, sequence: 0..0 });
    let mut read = 0;
    while flow.live() < LIVE {
        flow.epoch(shop.next(10_000));
        read += 10_000;
    }
    println!("{} live records after {read} events", flow.live());
    for (name, live) in flow.ledger.live() {
        println!("  {name}: {live}");
    }
    for _ in 0..1000 {
        flow.epoch(shop.next(LIVE_EPOCH));
    }
    let alone = show("alone", (0..EPOCHS).map(|_| flow.epoch(shop.next(LIVE_EPOCH))).collect());

    let folder = tempfile::tempdir().expect("a folder");
    let store = Local::open(folder.path().join("state")).expect("a folder");
    let dir = StateDir::open(Arc::new(store), None).expect("state");
    let (mut all, mut costs) = (Vec::new(), Duration::ZERO);
    for taken in 0..SNAPSHOTS {
        let (mut bytes, mut records, mut parts, mut longest) = (Vec::new(), 0, 0, Duration::ZERO);
        let began = Instant::now();
        let mut frozen = flow.ledger.freeze();
        let froze = began.elapsed();
        let (mut writing, mut sealing, mut epochs) = (froze, Duration::ZERO, Vec::new());
        loop {
            epochs.push(flow.epoch(shop.next(LIVE_EPOCH)));
            let began = Instant::now();
            let more = slices(&mut frozen, &mut bytes, &mut records, &mut longest);
            writing += began.elapsed();
            if bytes.len() >= PART_BYTES || !more {
                let began = Instant::now();
                dir.write_part((flow.epoch, 1), (0, parts), 0, &bytes).expect("a part");
                sealing += began.elapsed();
                parts += 1;
                bytes.clear();
            }
            if !more {
                break;
            }
        }
        let copying = epochs.iter().sum::<Duration>().saturating_sub(alone * epochs.len() as u32);
        costs += writing + copying + sealing;
        println!(
            "snapshot {taken}: {records} records, frozen in {:.0} us, first epoch {:.2} ms, longest slice {:.2} ms, \
             slices {:.0} ms in all, {:.0} more in {} epochs, written in {:.0}",
            froze.as_secs_f64() * 1e6,
            epochs[0].as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
            writing.as_secs_f64() * 1e3,
            copying.as_secs_f64() * 1e3,
            epochs.len(),
            sealing.as_secs_f64() * 1e3,
        );
        all.append(&mut epochs);
        for _ in 0..300 {
            flow.epoch(shop.next(LIVE_EPOCH));
        }
    }
    show("under a snapshot", all);
    println!("every five minutes: {:.3} % of a core", costs.as_secs_f64() / SNAPSHOTS as f64 / 300.0 * 100.0);
}

fn main() {
    // By hand alone: `cargo test` runs benches too.
    if std::env::args().any(|argument| argument == "--bench") {
        timely::execute_directly(measure);
    }
}
