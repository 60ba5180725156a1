//! Parse, run, exit code.

// A new variant is met by the compiler everywhere, never swallowed by an arm for the rest.
#![deny(clippy::wildcard_enum_match_arm)]

use deltamart::cli;
use deltamart::commands::outcome::REFUSED;
use deltamart::commands::{execute, say_not_understood};
use deltamart::engine::exit_on_panic;
use deltamart::shown::{Log, complain};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let typed: Vec<_> = std::env::args_os().collect();
    begin_again_with_patient_allocator(&typed);
    let cli = match cli::parse(typed.iter().cloned()) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            // It repeats what was typed, which a pattern of the shell may have made of the names of files.
            let typed: Vec<_> = typed.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            let told = cli::told(&error, &typed);
            complain(&format!("deltamart: {told}"));
            say_not_understood(&typed, &told);
            return ExitCode::from(REFUSED);
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    // Without colours: what looks like one comes from data, then, and is written out.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Log).with_ansi(false).with_target(false);
    // That nobody reads it is no reason to stop; said on the same standard error, it would be.
    log.log_internal_errors(false).init();
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        complain(&format!("thread `{}`: {panic}", thread.name().unwrap_or("without a name")));
    }));
    exit_on_panic();
    let (done, code) = execute(cli);
    match done {
        Ok(outcome) => {
            if let Some((_, why)) = outcome.complaint {
                complain(&format!("deltamart: {why}"));
            }
            ExitCode::from(code)
        }
        // The reader of our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("deltamart: {error:#}"));
            ExitCode::from(code)
        }
    }
}

/// What an epoch frees the next one needs again. By default the allocator gives such pages back after 10 ms, and takes them
/// again one by one: 2 to 10 % of the CPU of a run (docs/benchmarks.md). It reads how long it is to wait, in milliseconds,
/// before `main`, so the program begins once more, as the same process. Where it cannot, it goes on as it is.
fn begin_again_with_patient_allocator(typed: &[OsString]) {
    const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "1000");
    if std::env::var_os(PURGE_DELAY.0).is_none()
        && let Some((name, arguments)) = typed.split_first()
        && let Ok(program) = std::env::current_exe()
    {
        let _not_begun = Command::new(program).arg0(name).args(arguments).env(PURGE_DELAY.0, PURGE_DELAY.1).exec();
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
