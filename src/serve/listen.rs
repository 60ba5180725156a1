//! The thread that serves: connections, each with bounds.

use super::answer::{Refusal, json};
use super::patient::Patient;
use super::{Served, THREAD, deltas, guard, health, live, metrics, over, page, rows, status, tables};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// So many connections are open at the most.
const CONNECTIONS_MAX: usize = 512;
/// So many more are, for one request each, which is answered if it asks how the program does. For one more the oldest of
/// them is closed: who asks at once is served, however many come and say nothing.
const RESERVE: usize = 64;
/// A connection whose next request is not whole for so long is closed.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// The same of the reserve.
const RESERVE_PATIENCE: Duration = Duration::from_secs(1);
/// A connection whose client takes nothing of what is sent for so long is closed.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);
/// A request's line and headers have no more bytes.
const HEADER_MAX: usize = 32 << 10;
/// What is being sent when the run ends has so long.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// After an accept that failed: the system has no file handle left, perhaps.
const PAUSE: Duration = Duration::from_millis(50);

/// Begins to serve.
///
/// # Errors
/// If the system does not let us.
pub(super) fn start(
    listener: std::net::TcpListener,
    served: Arc<Served>,
    ended: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().thread_name(THREAD).build()?;
    std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        runtime.block_on(serve(listener, served, ended));
        // A table that is being read is not waited for.
        runtime.shutdown_background();
    })
}

fn routes(served: &Arc<Served>, ended: &watch::Receiver<bool>) -> Router {
    let said = live::keep(Arc::clone(served));
    let (ended, ended_too) = (ended.clone(), ended.clone());
    let with_files = page::paths().fold(Router::new(), |router, path| router.route(path, get(page::file)));
    with_files
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/openapi.json", get(described))
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::is_ready))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/tables", get(tables::tables))
        .route("/api/v1/tables/{name}", get(rows::rows))
        .route("/api/v1/live", get(move |state| live::live(state, said.subscribe(), ended.clone())))
        .route("/api/v1/deltas", get(move |state, uri, headers| deltas::deltas(state, uri, headers, ended_too.clone())))
        .route("/api/v1/corrections", get(deltas::corrections))
        .fallback(async || Refusal::unknown("there is nothing here; `/api/v1/openapi.json` says what there is"))
        .layer(from_fn_with_state(Arc::clone(served), guard::check))
        .with_state(Arc::clone(served))
}

/// What is answered to those for whom there is no connection left.
fn reserved_routes(served: &Arc<Served>) -> Router {
    let full = format!("all {CONNECTIONS_MAX} connections are in use; ask again later");
    Router::new()
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::is_ready))
        .fallback(async move || Refusal::later(full))
        .layer(from_fn_with_state(Arc::clone(served), guard::check))
        .with_state(Arc::clone(served))
}

/// What there is, for programs.
async fn described() -> impl IntoResponse {
    json(include_str!("openapi.json").to_owned())
}

async fn serve(listener: std::net::TcpListener, served: Arc<Served>, mut ended: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!("the page is not served: {error}"),
    };
    let app = Serving { routes: routes(&served, &ended), patience: HEADER_PATIENCE, goes_on: true };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let of_reserve = Serving { routes: reserved_routes(&served), patience: RESERVE_PATIENCE, goes_on: false };
    let mut reserve = VecDeque::<AbortHandle>::new();
    loop {
        let accepted = tokio::select! {
            () = over(&mut ended) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                    let connection = connection(stream, app.clone(), ended.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                    continue;
                }
                reserve.retain(|task| !task.is_finished());
                if reserve.len() == RESERVE
                    && let Some(oldest) = reserve.pop_front()
                {
                    oldest.abort();
                }
                reserve.push_back(tokio::spawn(connection(stream, of_reserve.clone(), ended.clone())).abort_handle());
                // What it asks is read before the next one comes.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::debug!("a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tokio::time::timeout(LAST_WORDS, permits.acquire_many(CONNECTIONS_MAX as u32)).await.map(drop).ok();
}

/// How a connection is served.
#[derive(Clone)]
struct Serving {
    routes: Router,
    /// Its next request is whole within this.
    patience: Duration,
    /// There may be a next one.
    goes_on: bool,
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, app: Serving, mut ended: watch::Receiver<bool>) {
    stream.set_nodelay(true).ok();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(app.patience).max_buf_size(HEADER_MAX).half_close(false);
    http.keep_alive(app.goes_on);
    let stream = Patient::new(TokioIo::new(stream), WRITE_PATIENCE);
    let connection = http.serve_connection(stream, TowerToHyperService::new(app.routes));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = over(&mut ended) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that went away, or never said a whole word.
    if let Err(error) = served {
        tracing::trace!("a connection ended: {error}");
    }
}
