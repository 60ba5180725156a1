//! What the system says of this process, where it does.

use std::collections::BTreeMap;
use std::path::Path;

/// How the system calls the threads of workers.
const WORKER: &str = "timely:work-";
/// So many ticks of a processor's time Linux counts in a second, on every machine.
const TICKS: f64 = 100.0;

/// The processor time of each worker, in seconds; nothing where the system does not tell.
pub fn worker_seconds() -> BTreeMap<usize, f64> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().map_while(Result::ok);
    let of_worker = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let number = name.strip_prefix(WORKER)?.parse().ok()?;
        let mut fields = rest.split_whitespace().skip(11);
        let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some((number, ticks as f64 / TICKS))
    };
    threads.filter_map(of_worker).collect()
}

/// Which part of so many seconds each worker computed, of its processor time before and after.
pub fn busy_shares(before: &BTreeMap<usize, f64>, after: &BTreeMap<usize, f64>, seconds: f64) -> BTreeMap<usize, f64> {
    let share = |(worker, end): (&usize, &f64)| {
        let begin = before.get(worker)?;
        Some((*worker, ((end - begin) / seconds).clamp(0.0, 1.0)))
    };
    after.iter().filter_map(share).collect()
}

/// How much memory is held.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// How many bytes the disk of a file has, and how many are free for us.
pub fn disk(path: &Path) -> Option<(f64, f64)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    let unit = disk.f_frsize as f64;
    Some((disk.f_blocks as f64 * unit, disk.f_bavail as f64 * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_worker_is_known_by_its_thread() {
        let (started, waits) = std::sync::mpsc::channel::<()>();
        let (counted, count) = std::sync::mpsc::channel();
        let body = move || {
            counted.send(()).ok();
            waits.recv().ok();
        };
        let thread = std::thread::Builder::new().name(format!("{WORKER}7")).spawn(body).expect("starts");
        count.recv().expect("it runs");
        assert!(worker_seconds().contains_key(&7), "{:?}", worker_seconds());
        drop(started);
        thread.join().expect("it ends");
    }

    #[test]
    fn a_share_is_of_a_worker_that_was_there_before() {
        let (before, after) = ([(0, 1.0), (1, 5.0)].into(), [(0, 1.5), (1, 8.0), (2, 9.0)].into());
        assert_eq!(busy_shares(&before, &after, 2.0), [(0, 0.25), (1, 1.0)].into());
    }
}
