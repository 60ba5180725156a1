//! `/healthz` and `/readyz`: for those who start and stop programs.

use super::answer::{Refusal, json};
use super::query::parameters;
use super::reading::read;
use super::{Mode, Served};
use crate::instant::span;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use std::sync::Arc;

/// Says that it lives.
pub(super) async fn lives() -> &'static str {
    "ok\n"
}

/// Says whether what was read is in the tables within the bound; of a warehouse without a run, whether it can be read.
pub(super) async fn is_ready(State(served): State<Arc<Served>>, uri: Uri) -> Result<impl IntoResponse, Refusal> {
    let mut within_ms = served.config.serve.ready_within;
    for (name, text) in parameters(uri.query())? {
        if name != "within" {
            return Err(Refusal::wrong(format!("parameter `{name}`: there is none of this name: there is `within`")));
        }
        within_ms = span::parse(&text).map_err(|why| Refusal::wrong(format!("parameter `within`: {why}")))?;
    }
    let (state, fresh_ms) = (served.state(), served.stats().fresh_ms());
    let is_ready = match served.mode {
        Mode::Warehouse => {
            read(&served, |_| Ok(())).await?;
            true
        }
        Mode::Run => state == "running" && i64::try_from(fresh_ms).is_ok_and(|fresh_ms| fresh_ms <= within_ms),
    };
    let said = serde_json::json!({ "ready": is_ready, "state": state, "fresh_ms": fresh_ms, "within_ms": within_ms });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, json(said.to_string())))
}
