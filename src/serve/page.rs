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

const FILES: &[File] = &[
    File { path: "/", content_type: "text/html; charset=utf-8", bytes: include_bytes!("page/index.html") },
    File { path: "/page.css", content_type: "text/css; charset=utf-8", bytes: include_bytes!("page/page.css") },
    File { path: "/page.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("page/page.js") },
    File { path: "/chart.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("page/chart.js") },
    File { path: "/chart.css", content_type: "text/css; charset=utf-8", bytes: include_bytes!("page/chart.css") },
    File { path: "/icon.svg", content_type: "image/svg+xml", bytes: include_bytes!("page/icon.svg") },
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
