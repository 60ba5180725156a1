//! `serve`: the page of a warehouse that no run writes to; and where a run serves its own.

use super::outcome::Outcome;
use super::{Refused, open_to_read, stop_on_signals};
use crate::config::Config;
use crate::config::serve::Serve;
use crate::serve::{Mode, ServeError, Server};
use crate::sink::Sink;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

/// How often is looked whether to end.
const LOOK: Duration = Duration::from_millis(50);

/// Begins to serve, if that is wanted.
pub(super) fn start(config: &Config, mode: Mode, stop: &Arc<AtomicBool>) -> Result<Option<Server>> {
    Server::start(config, mode, stop).map_err(|error| match error {
        ServeError::Refused(why) => Refused(why).into(),
        ServeError::Failed(why) => anyhow::anyhow!(why),
    })
}

pub(super) fn serve(config: &Config, at: Option<&str>) -> Result<Outcome> {
    let mut config = config.clone();
    if let Some(at) = at {
        config.serve = Serve { address: at.to_owned(), ..config.serve };
        config.serve.check().map_err(|why| Refused(format!("`serve {at}`: {why}")))?;
    }
    if open_to_read(&config)?.position()?.is_none() {
        let why = format!("`{}` is not a warehouse of ours: no pipeline has claimed it", config.warehouse.display());
        return Err(Refused(why).into());
    }
    let stop = stop_on_signals()?;
    let Some(server) = start(&config, Mode::Warehouse, &stop)? else {
        bail!("nothing is served: name an address that is free, as in `serve 127.0.0.1:9000`");
    };
    say!("`{}`, only read, until Ctrl-C, at {}", config.warehouse.display(), server.url());
    while !stop.load(Acquire) {
        std::thread::sleep(LOOK);
    }
    Ok(Outcome::default())
}
