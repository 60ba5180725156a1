//! Secrets stand in the environment or in files of their own; a setting says where.

/// Where a secret is found.
enum FoundIn<'a> {
    Env(&'a str),
    File(&'a str),
}

fn place(text: &str) -> Option<FoundIn<'_>> {
    let env = text.strip_prefix("env:").map(FoundIn::Env);
    env.or_else(|| text.strip_prefix("file:").map(FoundIn::File))
}

/// Why a setting does not say where a secret is found.
pub(super) fn wrong(text: &str) -> Option<String> {
    // Not shown: it may be the secret itself.
    place(text).is_none().then(|| "does not say where it is found; expected `env:NAME` or `file:PATH`".to_owned())
}

/// Fetches a secret.
///
/// # Errors
/// If it is not there; the secret itself is never shown.
pub fn fetch(text: &str) -> Result<String, String> {
    match place(text) {
        Some(FoundIn::Env(name)) => {
            std::env::var(name).map_err(|_| format!("environment variable `{name}` is not set (or is not text)"))
        }
        Some(FoundIn::File(path)) => {
            let read = std::fs::read_to_string(path);
            read.map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| format!("could not read secret file `{path}`: {error}"))
        }
        None => Err(wrong(text).unwrap_or_default()),
    }
}
