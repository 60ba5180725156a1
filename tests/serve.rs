//! The page, the API and the metrics, asked over HTTP as browsers and programs ask.

/// Answers are as the OpenAPI file and the list of metrics say.
mod described;
/// What the OpenAPI file describes, with values that it does and does not allow.
mod generated;
/// One row for each value of a column, and some columns only.
mod grouped;
/// What is no request, and what is wrong with one.
mod hostile;
/// What is committed, told as it is.
mod stream;

use crate::cli::{data, deltamart, said};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program, serving; it is told to end when this is dropped.
pub struct Serving {
    child: Child,
    /// Where: `127.0.0.1:8080`.
    pub at: String,
}

impl Serving {
    /// Starts it, and waits until it says where it serves.
    pub fn start(folder: &Path, arguments: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        let command = command.current_dir(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        // A run says it on standard error, `serve` on standard output.
        let mut line = String::new();
        match arguments.contains(&"serve") {
            true => BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("says it"),
            false => {
                let mut said = BufReader::new(child.stderr.take().expect("piped"));
                let read = said.read_line(&mut line).expect("says it");
                // What else it says is read by somebody.
                std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
                read
            }
        };
        let at = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let at = at.unwrap_or_else(|| panic!("no address: {line}")).replace("0.0.0.0", "127.0.0.1");
        Serving { child, at }
    }

    /// Asks for a path: status, headers, body.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// Sends this, and reads what comes.
    pub fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.at).expect("connects");
        stream.write_all(request.as_bytes()).expect("takes it");
        let mut bytes = Vec::new();
        // What closes early has said what it had to say.
        stream.read_to_end(&mut bytes).ok();
        Answer(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The JSON of a path.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.0);
        serde_json::from_str(answer.body()).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body()))
    }

    /// The events of a stream, as `(event, id, data)`, until `is_last`.
    pub fn events(&self, path: &str, more: &str, mut is_last: impl FnMut(&Told) -> bool) -> Vec<Told> {
        let mut stream = TcpStream::connect(&self.at).expect("connects");
        // Without chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{more}\r\n").expect("takes it");
        let (mut events, mut told) = (Vec::new(), Told::default());
        for line in BufReader::new(stream).lines().map_while(Result::ok).skip_while(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("event", event)) => event.clone_into(&mut told.event),
                Some(("id", id)) => id.clone_into(&mut told.id),
                Some(("data", data)) => told.data = serde_json::from_str(data).expect("JSON"),
                _ if line.is_empty() && !told.event.is_empty() => {
                    let is_over = is_last(&told);
                    events.push(std::mem::take(&mut told));
                    if is_over {
                        break;
                    }
                }
                _ => {}
            }
        }
        events
    }

    /// Ends it in order, and tells its exit code.
    pub fn end(mut self) -> Option<i32> {
        interrupt(&self.child);
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// What it is.
    pub event: String,
    /// Its number.
    pub id: String,
    /// What it says.
    pub data: Value,
}

/// What was answered.
pub struct Answer(pub String);

impl Answer {
    /// The status; 0 if there is none.
    pub fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// What stands behind the headers.
    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let header = |line: &'_ str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.len()));
        head.lines().find(|line| header(line).is_some_and(|(known, _)| known == name))?.split_once(": ").map(|(_, v)| v)
    }
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
}

/// A warehouse of the first day.
pub fn warehouse(folder: &Path) {
    let events = data("events/first_day.jsonl");
    let arguments = ["run", &events, "--catalog", &data("Movies.txt"), "--serve", "off"];
    let (code, text) = said(&deltamart(folder, &arguments));
    assert!(code == Some(0) && !text.contains("http://"), "{text}");
}

#[test]
fn a_warehouse_is_served_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    let status = serving.json("/api/v1/status");
    assert_eq!((&status["mode"], &status["state"]), (&"serve".into(), &"reading".into()), "{status}");
    assert!(status["epoch"].as_u64() > Some(0) && status["records"].is_null(), "{status}");
    let tables = serving.json("/api/v1/tables");
    let tables = tables["tables"].as_array().expect("tables");
    for (name, kind, time) in [
        ("user_registration_metrics", "upsert", Some("timestamp")),
        ("users", "upsert", None),
        ("consumer_events", "raw", Some("timestamp")),
        ("session_metrics_by_minute", "view", Some("timestamp")),
        ("quality", "other", Some("hour")),
    ] {
        let table = tables.iter().find(|table| table["name"] == name).expect(name);
        assert_eq!((table["kind"].as_str(), table["time_column"].as_str()), (Some(kind), time), "{table}");
        let (code, text) = said(&deltamart(folder.path(), &["sql", &format!("SELECT COUNT(*) AS n FROM {name}")]));
        let count: Value = serde_json::from_str(&text).expect("JSON");
        assert!(code == Some(0) && (table["rows"] == count["n"] || kind == "view"), "{table}: {count}");
        // Page by page it is what the program itself shows.
        assert_eq!(walk(&serving, name, "limit=7"), shown(folder.path(), name, ""), "{name}");
        let mut turned = walk(&serving, name, "limit=1000&order=desc");
        turned.reverse();
        assert_eq!(turned, shown(folder.path(), name, ""), "{name}");
    }
    let sliding = "window_type=sliding&from=2026-01-05T10:00:00Z&to=2026-01-05T12:00:00Z";
    let condition = "window_type = 'sliding' AND timestamp >= '2026-01-05T10:00:00.000Z' AND timestamp < '2026-01-05T12:00:00.000Z'";
    let rows = walk(&serving, "user_registration_metrics", sliding);
    assert!(!rows.is_empty());
    assert_eq!(rows, shown(folder.path(), "user_registration_metrics", condition));
    let top =
        serving.json("/api/v1/tables/movie_sales_metrics?window_type=cumulative&by=total_sales&order=desc&limit=3");
    let (code, text) = said(&deltamart(
        folder.path(),
        &[
            "sql",
            "SELECT total_sales FROM movie_sales_metrics WHERE window_type = 'cumulative' ORDER BY 1 DESC LIMIT 3",
        ],
    ));
    let expected: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect();
    let place = top["columns"].as_array().expect("columns").iter().position(|column| column == "total_sales");
    let sales = |row: &Value| row[place.expect("a column")].clone();
    let found: Vec<_> = top["rows"].as_array().expect("rows").iter().map(sales).collect();
    assert_eq!(found, expected.iter().map(|row| row["total_sales"].clone()).collect::<Vec<_>>());
    assert!(code == Some(0) && found.len() > 1, "{text}");
    assert_eq!(serving.json("/readyz")["ready"], true);
    assert_eq!(serving.get("/healthz").body(), "ok\n");
    let first = serving.events("/api/v1/live", "", |_| true);
    assert_eq!((first[0].event.as_str(), &first[0].data["epoch"]), ("status", &status["epoch"]));
    assert_eq!(serving.end(), Some(0));
}

/// All rows of a table, page by page.
fn walk(serving: &Serving, name: &str, asked: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = serving.json(&format!("/api/v1/tables/{name}?{asked}{after}"));
        let columns = page["columns"].as_array().expect("columns").clone();
        let row = |row: &Value| {
            let named = columns.iter().zip(row.as_array().expect("a row"));
            named.map(|(name, value)| (name.as_str().expect("a name").to_owned(), value.clone())).collect()
        };
        rows.extend(page["rows"].as_array().expect("rows").iter().map(row).map(Value::Object));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return rows,
        }
    }
}

/// The same as the program shows it, in the order of the key.
fn shown(folder: &Path, name: &str, condition: &str) -> Vec<Value> {
    let mut arguments = vec!["show", name, "--limit", "100000", "--format", "json"];
    if !condition.is_empty() {
        arguments.extend(["--where", condition]);
    }
    let (code, text) = said(&deltamart(folder, &arguments));
    assert_eq!(code, Some(0), "{text}");
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).expect("JSON");
        row.as_object_mut().expect("a row").retain(|name, _| name != "_epoch" && name != "_updated_at");
        row
    };
    text.lines().map(row).collect()
}

#[test]
fn a_run_says_where_it_is_seen_and_how_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = fs::read_to_string(data("events/first_day.jsonl")).expect("readable");
    let half = events.match_indices('\n').nth(events.lines().count() / 2).expect("lines").0 + 1;
    fs::write(folder.path().join("events.jsonl"), &events[..half]).expect("writes");
    let run = ["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0"];
    let serving = Serving::start(folder.path(), &run);
    let lines = |text: &str| text.lines().count() as u64;
    let is_read = |wanted: u64| move |told: &Told| told.data["records"] == wanted && told.data["fresh_ms"].is_u64();
    let told = serving.events("/api/v1/live", "", |told| {
        is_read(lines(&events[..half]))(told) && told.data["epoch"].as_u64() > Some(0)
    });
    let before = told.last().expect("a status").data.clone();
    assert_eq!((&before["mode"], &before["state"]), (&"run".into(), &"running".into()), "{before}");
    let mut file = fs::OpenOptions::new().append(true).open(folder.path().join("events.jsonl")).expect("opens");
    file.write_all(&events.as_bytes()[half..]).expect("writes");
    let told = serving.events("/api/v1/live", "", |told| {
        is_read(lines(&events))(told) && told.data["epoch"].as_u64() > before["epoch"].as_u64()
    });
    let after = told.last().expect("a status").data.clone();
    for member in
        ["pipeline_id", "generation", "now", "started_at", "workers", "graph", "examples", "rejected", "fresh_p99_ms"]
    {
        assert!(!after[member].is_null(), "{member}: {after}");
    }
    assert_eq!(after["sinks"][0]["kind"], "sqlite");
    let nodes = after["graph"]["nodes"].as_array().expect("nodes");
    let ids: Vec<_> = nodes.iter().map(|node| &node["id"]).collect();
    assert!(ids.contains(&&"source:events.jsonl".into()) && ids.contains(&&"table:users".into()), "{ids:?}");
    let edges = after["graph"]["edges"].as_array().expect("edges");
    assert!(!edges.is_empty() && edges.iter().all(|edge| ids.contains(&&edge[0]) && ids.contains(&&edge[1])));
    // What is there is what the page says, and a page of another commit is not mixed with one of before.
    let page = serving.json("/api/v1/tables/users?limit=2");
    assert!(page["epoch"].as_u64() >= after["epoch"].as_u64() && page["next"].is_string(), "{page}");
    // Who looks on hears the end.
    let child = serving.child.id().to_string();
    let mut first = true;
    let told = serving.events("/api/v1/live", "", |_| {
        if std::mem::take(&mut first) {
            Command::new("kill").args(["-INT", &child]).status().expect("kill");
        }
        false
    });
    assert_eq!(told.last().map(|told| told.data["state"].clone()), Some("ended".into()));
    let mut serving = serving;
    assert_eq!(serving.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(said(&deltamart(folder.path(), &["verify"])).0, Some(0));
}

#[test]
fn a_run_that_has_read_nothing_shows_what_it_waits_for() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("events.jsonl"), "").expect("writes");
    let serving = Serving::start(folder.path(), &["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0"]);
    let told = serving.events("/api/v1/live", "", |told| {
        let nodes = told.data["graph"]["nodes"].as_array().map(Vec::len).unwrap_or_default();
        told.data["state"] == "running" && nodes > 0 && told.data["sinks"].as_array().is_some_and(|all| !all.is_empty())
    });
    let status = &told.last().expect("a status").data;
    assert_eq!(status["sources"], serde_json::json!([]), "it has nothing by which it is known");
    let edges = status["graph"]["edges"].as_array().expect("edges");
    let waits = serde_json::json!(["source:events.jsonl", "stage:shop"]);
    assert!(edges.contains(&waits), "{edges:?}");
}

#[test]
fn an_address_that_is_taken_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let events = data("events/first_day.jsonl");
    let (code, text) = said(&deltamart(folder.path(), &["run", &events, "--serve", &at]));
    assert!(code == Some(1) && text.contains(&at) && text.contains("another program has this address"), "{text}");
    assert!(!folder.path().join("deltamart.db").exists(), "nothing was made");
    let (code, text) = said(&deltamart(folder.path(), &["serve"]));
    assert!(code == Some(1) && text.contains("warehouse `deltamart.db` does not exist"), "{text}");
    for (address, why) in [("0.0.0.0:0", "needs `serve.token`"), ("here", "expected `auto`, `off`, or an address")] {
        let (code, text) = said(&deltamart(folder.path(), &["run", &events, "--serve", address]));
        assert!(code == Some(2) && text.contains(why) && text.contains("--serve"), "{text}");
    }
    let (code, text) = said(&deltamart(folder.path(), &["batch", &events, "--serve", "off"]));
    assert!(code == Some(2) && text.contains("does not take `--serve`"), "{text}");
}

#[test]
fn who_has_no_token_is_told_whether_it_lives_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    warehouse(folder.path());
    fs::write(folder.path().join("token"), "s3cret\n").expect("writes");
    fs::write(folder.path().join("deltamart.toml"), "[serve]\ntoken = \"file:token\"\nhosts = [\"mart.example\"]\n")
        .expect("writes");
    let serving = Serving::start(folder.path(), &["serve", "0.0.0.0:0"]);
    let ask = |path: &str, more: &str| {
        serving.ask(&format!("GET {path} HTTP/1.1\r\nHost: mart.example\r\nConnection: close\r\n{more}\r\n"))
    };
    for path in ["/", "/page.js", "/api/v1/status", "/api/v1/tables/users", "/nothing"] {
        for wrong in ["", "Authorization: Bearer s3cre\r\n", "Authorization: Basic czNjcmV0\r\n"] {
            let answer = ask(path, wrong);
            assert_eq!(
                (answer.status(), answer.header("www-authenticate").is_some()),
                (401, true),
                "{path}: {}",
                answer.0
            );
            assert!(!answer.0.contains("s3cret"), "{}", answer.0);
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(path, "").status(), 200);
    }
    // `any:s3cret`
    for right in ["Authorization: Bearer s3cret\r\n", "Authorization: Basic YW55OnMzY3JldA==\r\n"] {
        assert_eq!(ask("/api/v1/tables/users", right).status(), 200);
    }
    let (code, text) = said(&deltamart(folder.path(), &["check"]));
    assert!(code == Some(0) && !text.contains("s3cret"), "{text}");
}
