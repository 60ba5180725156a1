//! What is answered: JSON, or why not.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Why a request gets no other answer: `{"error": "..."}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    said: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, said: impl Into<String>) -> Refusal {
        Refusal { status, said: said.into() }
    }

    /// Why.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// The request is wrong.
    pub(super) fn wrong(said: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, said)
    }

    /// There is no such thing.
    pub(super) fn unknown(said: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, said)
    }

    /// It cannot be answered now.
    pub(super) fn later(said: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, said)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.said }).to_string();
        let mut response = (self.status, json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // A browser asks for it then; any user will do.
            let asks = HeaderValue::from_static("Basic realm=\"deltamart\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, asks);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// A text of JSON.
pub(super) fn json(body: impl IntoResponse) -> impl IntoResponse {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
