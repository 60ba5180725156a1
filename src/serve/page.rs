//! The page: files that are in the program.

use super::answer::Refusal;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file, and where it is served.
macro_rules! file {
    ($content_type:ident, $name:literal) => {
        file!($content_type, $name, concat!("/", $name))
    };
    ($content_type:ident, $name:literal, $path:expr) => {
        File { path: $path, content_type: $content_type, bytes: include_bytes!(concat!("page/", $name)) }
    };
}

const FILES: &[File] = &[
    file!(HTML, "index.html", "/"),
    file!(CSS, "page.css"),
    file!(CSS, "chart.css"),
    file!(PICTURE, "icon.svg"),
    file!(SCRIPT, "api.js"),
    file!(SCRIPT, "asof.js"),
    file!(SCRIPT, "axis.js"),
    file!(SCRIPT, "chart.js"),
    file!(SCRIPT, "commit.js"),
    file!(SCRIPT, "corrections.js"),
    file!(SCRIPT, "cursor.js"),
    file!(SCRIPT, "data.js"),
    file!(SCRIPT, "declared.js"),
    file!(SCRIPT, "deltas.js"),
    file!(SCRIPT, "dom.js"),
    file!(SCRIPT, "finality.js"),
    file!(SCRIPT, "format.js"),
    file!(SCRIPT, "graph.js"),
    file!(SCRIPT, "help.js"),
    file!(SCRIPT, "kinds.js"),
    file!(SCRIPT, "live.js"),
    file!(SCRIPT, "movie.js"),
    file!(SCRIPT, "page.js"),
    file!(SCRIPT, "panel.js"),
    file!(SCRIPT, "pipeline.js"),
    file!(SCRIPT, "sentence.js"),
    file!(SCRIPT, "shapes.js"),
    file!(SCRIPT, "shared.js"),
    file!(SCRIPT, "sold.js"),
    file!(SCRIPT, "state.js"),
    file!(SCRIPT, "store.js"),
    file!(SCRIPT, "table.js"),
    file!(SCRIPT, "theme.js"),
    file!(SCRIPT, "trouble.js"),
];

/// The paths of all of them.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.path)
}

/// A file; nothing but that it has not changed, to a browser that has it.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.path == uri.path()) else {
        return Refusal::unknown("there is no such file").into_response();
    };
    let tag = format!("\"{:08x}-{}\"", crc32fast::hash(file.bytes), file.bytes.len());
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response(),
    };
    // It is asked each time whether it changed: another version of the program has another page.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
