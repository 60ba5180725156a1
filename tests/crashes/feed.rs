//! Histories whose only sink is the Parquet feed, of one to three processes which all write it: killed at any operation of
//! the disk, between a process's files and the object that names them too, cut off from each other, and superseded.

use super::{Place, Tally, World, live_with, made, run_through, world};
use crate::support::histories;
use crate::support::mortal::{Fate, Life};
use dataflows::table::{TableId, Value};
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::config::feed::Feed;
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::{Sink, Stored};
use deltamart::store::local::Local;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

fn feed(world: &World) -> Result<Parquet, Box<dyn Error>> {
    let settings = Feed { commit_interval: 0, rows_per_file: 5, merge_runs: 3, grace: 0, ..Feed::default() };
    Ok(Parquet::on(world.catalogue(), Arc::new(Local::on(world.disk.clone(), "/feed")?), &settings))
}

fn live(world: &World, place: Place, seed: u64, fate: Fate) -> Result<(), Box<dyn Error>> {
    let writers = if place.processes > 1 { place.processes } else { 0 };
    live_with(world, place, seed, &Life::of(&world.disk, fate), (vec![Box::new(feed(world)?)], writers))
}

/// What readers of the feed read.
fn read(world: &World) -> BTreeMap<TableId, Vec<Vec<Value>>> {
    let mut feed = feed(world).expect("opens");
    let tables = world.catalogue().tables();
    tables.iter().map(|id| (*id, feed.page(*id, None, usize::MAX).expect("readable"))).collect()
}

/// The files of processes that do not lead.
fn of_members(world: &World) -> Vec<String> {
    let files = world.disk.files().into_iter().map(|path| path.display().to_string());
    files.filter(|path| path.starts_with("/feed") && path.contains("-p00") && !path.contains("-p000-")).collect()
}

fn one(seed: u64, (tally, written): &mut (Tally, usize)) {
    let (mut world, _) = world(seed);
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0xfeed);
    world.options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
    world.options.settings.lane.clean = false;
    world.sinks.clear();
    let uninterrupted = Memory::of(world.catalogue());
    run_through(&world, &uninterrupted).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    for _ in 0..dice.random_range(1..=5) {
        let mut fate = Fate::default();
        match dice.random_range(0..4) {
            0 | 1 => world.disk.fail_after(dice.random_range(0..400)),
            2 => fate.calls = Some(dice.random_range(0..12)),
            _ => {
                fate.calls = Some(dice.random_range(0..12));
                let (other, seed) = (world.clone(), dice.random());
                let place = Place::thrown(dice.random_range(1..=2), Some(&mut dice));
                fate.sleeps = Some(Arc::new(move || {
                    live(&other, place, seed, Fate::default()).expect("the successor lives on");
                }));
                tally.zombies += 1;
            }
        }
        let place = Place::thrown(dice.random_range(1..=3), Some(&mut dice)).losing(Some(&mut dice));
        let ended = live(&world, place, dice.random(), fate);
        tally.life(place, seed, &ended);
        world.disk = if dice.random() { world.disk.crash(dice.random()) } else { world.disk.restart(dice.random()) };
    }
    let last = Place::thrown(dice.random_range(1..=3), Some(&mut dice));
    live(&world, last, dice.random(), Fate::default())
        .unwrap_or_else(|why| panic!("seed {seed}: the last life failed: {why}"));
    *written += of_members(&world).len();
    let mut expected = made(&uninterrupted.contents());
    expected.retain(|id, _| world.catalogue().tables().contains(id));
    for (id, rows) in read(&world) {
        assert_eq!(Some(rows), expected.remove(&id), "seed {seed}, `{}`: as if nothing had happened", id.name());
    }
    let progress = feed(&world).expect("opens").position().expect("readable").expect("claimed");
    let last = uninterrupted.contents().progress.clone().expect("claimed");
    assert_eq!((progress.positions, progress.watermarks), (last.positions, last.watermarks), "seed {seed}");
    tally.histories += 1;
}

#[test]
fn a_feed_that_every_process_writes_is_that_of_one_wherever_they_are_killed() {
    let asked = histories::asked("DELTAMART_CRASH_SEED", "DELTAMART_CRASHES_OF_SEVERAL", [20, 150]);
    let tallies: Vec<(Tally, usize)> = histories::all(asked, one).collect();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(|(tally, _)| of(tally)).sum::<u64>();
    let (together, written) = (sum(|it| it.together), tallies.iter().map(|(_, written)| written).sum::<usize>());
    println!(
        "crashes of feeds: {} histories, {together} lives together, {} crashes, {} links lost, {} zombies, {written} files of \
         members at the end, 0 divergences",
        sum(|it| it.histories),
        sum(|it| it.crashes),
        sum(|it| it.links),
        sum(|it| it.zombies)
    );
    assert!(together > 0 && written > 0, "no member wrote");
}
