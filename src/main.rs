//! Parse, run, exit code.

use clap::Parser;
use deltamart::cli::Cli;
use deltamart::commands::{Refused, execute};
use deltamart::engine::exit_on_panic;
use deltamart::source::SourceError;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    exit_on_panic();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deltamart: {error:#}");
            if is_refused(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Nothing was done, because of what was asked or what a file is.
fn is_refused(error: &anyhow::Error) -> bool {
    error.is::<Refused>() || matches!(error.downcast_ref(), Some(SourceError::Refused(_)))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
