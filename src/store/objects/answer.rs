//! What a service answered, in its words, and what that means for the caller.
//!
//! The statuses and codes are those of S3, and of Azure and Google where they differ. Nothing of an answer
//! but its status, its code and its message goes into ours: S3 repeats the key's name and what was signed.

use super::variables;
use crate::store::StoreError;
use object_store::Error;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is an object under this key, and it was left as it is.
    There,
    /// There is no object under this key, in a bucket that is there.
    Missing,
    /// It may pass in seconds: worth another attempt after a pause.
    Again,
    /// It passes when somebody does something about it: the caller may ask later.
    Later,
    /// It does not pass.
    Never,
}

/// What was wrong with a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) meaning: Meaning,
    status: Option<u16>,
    /// Such as `SlowDown`; empty if the answer had none.
    code: String,
    /// On one line, without secrets.
    said: String,
}

impl Answer {
    /// Reads an error; `hide` takes secrets out of what is shown.
    pub(super) fn of(error: &Error, hide: impl Fn(&str) -> String) -> Answer {
        let whole = error.to_string();
        let (status, body) = split(&whole);
        let code = between(body, "<Code>", "</Code>").unwrap_or_default().to_owned();
        let message = between(body, "<Message>", "</Message>");
        let said = match (status, message) {
            (Some(status), _) if !code.is_empty() => {
                format!("the service answered {status} ({code}): {}", hide(message.unwrap_or_default()))
            }
            (Some(status), _) => {
                let body = hide(body.trim());
                let body = if body.is_empty() { "nothing more".to_owned() } else { shortened(&body) };
                format!("the service answered {status}: {body}")
            }
            (None, _) => hide(&whole),
        };
        let said = said.trim_end_matches([':', ' ', '.']).to_owned();
        Answer { meaning: meaning(error, status, &code, body), status, code, said }
    }

    /// As an error that says what was attempted, on which object, and what to do.
    pub(super) fn explain(&self, doing: &str, object: &str, url: &str) -> StoreError {
        let detail = format!("could not {doing} `{object}`: {}; {}", self.said, self.advice(url));
        if self.meaning == Meaning::Never { StoreError::Failed(detail) } else { StoreError::Unavailable(detail) }
    }

    fn advice(&self, url: &str) -> String {
        let variables = variables(url);
        match (self.status, self.code.as_str()) {
            (_, "NoSuchBucket" | "ContainerNotFound") => "make the bucket, or name another one".to_owned(),
            (_, "RequestTimeTooSkewed") => "set this machine's clock".to_owned(),
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthenticationFailed") => {
                format!("the key is wrong, or not of this service: check {variables}")
            }
            (_, "ExpiredToken" | "InvalidToken") => {
                "the session's token is over or wrong: start again with a new one, or without `AWS_SESSION_TOKEN` \
                 under a role of the machine"
                    .to_owned()
            }
            (_, "EntityTooLarge") => "an object is larger than the service takes in one request".to_owned(),
            (Some(401 | 403), _) => {
                "give whom the environment names the right to list, get, put and delete there".to_owned()
            }
            (Some(507), _) | (_, "QuotaExceeded" | "XMinioStorageFull") => {
                "make room at the service, or raise the quota".to_owned()
            }
            (Some(429), _) | (_, "SlowDown") => {
                "too many requests for the service: raise `journal_interval` and `feed.commit_interval`".to_owned()
            }
            (Some(409), _) => "another request is at the same object: stop all runs but one".to_owned(),
            (Some(301 | 302 | 307 | 308), _) => {
                format!("the bucket is in another region or behind another endpoint: check {variables}")
            }
            (Some(404), _) => format!("that is not the answer of a bucket: check {variables}"),
            (Some(501), _) => "the service must support conditional puts (`If-None-Match: *`)".to_owned(),
            _ => format!("check the network, the service, and {variables}"),
        }
    }
}

fn meaning(error: &Error, status: Option<u16>, code: &str, body: &str) -> Meaning {
    if names_a_missing_bucket(body) {
        return Meaning::Later;
    }
    match (error, status) {
        // Azure says with 409 that there is one; where S3 says 409 it did not look: two requests met.
        (Error::AlreadyExists { .. }, Some(409)) if code != "BlobAlreadyExists" => Meaning::Again,
        (Error::AlreadyExists { .. }, _) => Meaning::There,
        // What a proxy says that knows no such bucket, or no such service at the moment, is not about the object.
        (Error::NotFound { .. }, None) => Meaning::Missing,
        (Error::NotFound { .. }, Some(_)) if !code.is_empty() => Meaning::Missing,
        (_, Some(404)) => Meaning::Again,
        (Error::NotImplemented { .. } | Error::NotSupported { .. }, _) | (_, Some(501)) => Meaning::Never,
        (_, Some(401 | 403 | 507)) => Meaning::Later,
        (_, Some(409)) => Meaning::Again,
        (_, Some(400)) => match code {
            "RequestTimeout" => Meaning::Again,
            "ExpiredToken" | "InvalidToken" => Meaning::Later,
            _ => Meaning::Never,
        },
        // S3 may answer 200 and say in the body that it failed.
        (_, Some(200 | 408 | 429 | 500..)) => Meaning::Again,
        (_, Some(_)) => Meaning::Never,
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, None) => Meaning::Later,
        (Error::Generic { .. }, None) => Meaning::Again,
        (_, None) => Meaning::Never,
    }
}

/// Whether a service says so, each in its own words.
fn names_a_missing_bucket(body: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"].iter().any(|words| body.contains(words))
}

/// The status, and what came with it. The client keeps both only in the words of its error.
fn split(whole: &str) -> (Option<u16>, &str) {
    let Some((_, rest)) = whole.split_once("status code: ") else {
        let body = whole.split_once("Server returned error response: ").map(|(_, body)| body);
        return (body.map(|_| 200), body.unwrap_or(whole));
    };
    let (status, rest) = rest.split_at_checked(3).unwrap_or((rest, ""));
    (status.parse().ok(), rest.split_once(": ").map_or("", |(_, body)| body))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0.trim())
}

/// A page of somebody's proxy is not repeated whole.
fn shortened(body: &str) -> String {
    const SHOWN: usize = 200;
    match body.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &body[..end]),
        None => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: fn(String, Box<dyn std::error::Error + Send + Sync>) -> Error, said: &str) -> Meaning {
        Answer::of(&error("a".to_owned(), said.into()), str::to_owned).meaning
    }

    fn not_found(path: String, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::NotFound { path, source }
    }

    fn there(path: String, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::AlreadyExists { path, source }
    }

    #[test]
    fn without_the_bucket_nobody_can_say_whether_there_is_an_object() {
        let says = |body: &str| answer(not_found, &format!("status code: 404 Not Found: {body}"));
        assert_eq!(says("<Error><Code>NoSuchKey</Code></Error>"), Meaning::Missing);
        assert_eq!(says("<Code>BlobNotFound</Code>"), Meaning::Missing);
        assert_eq!(says("<Code>NoSuchBucket</Code>"), Meaning::Later);
        assert_eq!(says("<Code>ContainerNotFound</Code>"), Meaning::Later);
        assert_eq!(says("404 page not found"), Meaning::Again, "a proxy's own");
        assert_eq!(says(""), Meaning::Again);
        assert_eq!(answer(not_found, "No data in memory found."), Meaning::Missing);
    }

    #[test]
    fn a_409_is_an_answer_only_where_it_says_so() {
        assert_eq!(answer(there, "status code: 412 Precondition Failed: "), Meaning::There);
        assert_eq!(answer(there, "status code: 409 Conflict: <Code>BlobAlreadyExists</Code>"), Meaning::There);
        assert_eq!(answer(there, "status code: 409 Conflict: <Code>ConditionalRequestConflict</Code>"), Meaning::Again);
        assert_eq!(answer(there, "status code: 409 Conflict: "), Meaning::Again);
        assert_eq!(answer(there, "Object already exists at that location"), Meaning::There);
    }

    #[test]
    fn an_answer_is_shown_by_its_status_code_and_message_alone() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message>\
                    <AWSAccessKeyId>AKIAX</AWSAccessKeyId><StringToSign>secret</StringToSign></Error>";
        let source = format!("Error performing GET http://h/b in 1ms - status code: 403 Forbidden: {body}");
        let error = Error::PermissionDenied { path: "a".to_owned(), source: source.into() };
        assert_eq!(
            Answer::of(&error, str::to_owned).explain("read", "s3://b/a", "s3://b").to_string(),
            "could not read `s3://b/a`: the service answered 403 (SignatureDoesNotMatch): It does not match; the key \
             is wrong, or not of this service: check the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, \
             `AWS_REGION`, `AWS_ENDPOINT`"
        );
        assert!(shortened(&"ä".repeat(300)).ends_with("ä..."));
    }
}
