//! The media service: users with a device or two, who look around, search, and watch titles; after most searches one that was
//! looked for. Each record has records and lists in it.

use super::text::{Times, number, scattered};
use super::{Flaw, Form, Scene};
use crate::config::Config;
use crate::config::simulate_model::SimulateModel;
use dataflows::time::DAY_MS;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Zipf};

/// What its events are called.
pub(super) const FAMILY: &str = "customer_events";

/// What of them a column can hold.
pub(super) const FIELDS: &[&str] = &[
    "timestamp",
    "event_type",
    "user_subscription.user_id",
    "user_subscription.plan",
    "user_subscription.since",
    "device.type",
    "device.os",
    "device.os_version",
    "device.app_version",
    "device.model",
    "location.country",
    "location.city",
    "location.region",
    "location.timezone",
    "content.media_id",
    "content.title",
    "content.type",
    "content.season",
    "content.episode",
    "content.provider",
    "content.genre",
    "event_details.watch_seconds",
    "event_details.duration_seconds",
    "event_details.query",
];

const TITLES: u64 = 2_000;
/// So many days ago somebody may have taken the plan.
const DAYS: i64 = 1_000;
/// Of users and titles nothing is like that of their neighbours.
const SEED: u64 = 192_701;

const PLANS: [&str; 3] = ["free", "basic", "premium"];
const GENRES: [&str; 8] = ["drama", "comedy", "crime", "documentary", "horror", "kids", "romance", "science fiction"];
const PROVIDERS: [&str; 4] = ["own", "north studio", "old films", "kino"];
const DEVICES: [&str; 6] = [
    r#""type":"tv","os":"tizen","os_version":"7.0","app_version":"4.12.0","model":"TV-55Q""#,
    r#""type":"tv","os":"android tv","os_version":"12","app_version":"4.11.3","model":"Stick 2""#,
    r#""type":"phone","os":"android","os_version":"14","app_version":"9.3.1","model":"P-7""#,
    r#""type":"phone","os":"ios","os_version":"17.4","app_version":"9.3.0","model":"S13""#,
    r#""type":"tablet","os":"ios","os_version":"16.1","app_version":"9.2.8","model":"T9""#,
    r#""type":"web","os":"linux","os_version":null,"app_version":"2026.1","model":null"#,
];
const PLACES: [&str; 6] = [
    r#""country":"DE","city":"Berlin","region":"BE","timezone":"Europe/Berlin""#,
    r#""country":"GE","city":"Tbilisi","region":"TB","timezone":"Asia/Tbilisi""#,
    r#""country":"US","city":"Austin","region":"TX","timezone":"America/Chicago""#,
    r#""country":"BR","city":"Recife","region":"PE","timezone":"America/Recife""#,
    r#""country":"JP","city":"Osaka","region":"27","timezone":"Asia/Tokyo""#,
    r#""country":null,"city":null,"region":null,"timezone":null"#,
];

/// A title, as it is written, and how long it is.
struct Title {
    json: String,
    words: String,
    seconds: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Play,
    Search,
    Browse,
}

#[derive(Clone, Copy)]
pub(super) struct Event {
    kind: Kind,
    user: u32,
    device: u8,
    title: u16,
    watched: u32,
}

pub(super) struct Media {
    rates: SimulateModel,
    titles: Vec<Title>,
    popularity: Zipf<f64>,
    pause: Exp<f64>,
    users: u64,
    /// Each day since which somebody may have the plan.
    since: Vec<String>,
    times: Times,
}

impl Media {
    pub(super) fn new(config: &Config) -> Media {
        let mut media = Media {
            rates: config.simulate_model.clone(),
            titles: (1..=TITLES).map(title).collect(),
            popularity: Zipf::new(TITLES as f64, 0.9).expect("there are titles"),
            pause: Exp::new(1.0 / 60_000.0).expect("a positive rate"),
            users: 0,
            since: (1..=DAYS).map(|ago| crate::instant::show(config.simulate.start - ago * DAY_MS)).collect(),
            times: Times::default(),
        };
        media.users = (config.simulate.events as f64 / media.per_visit() * 0.4) as u64 + 20;
        media
    }
}

fn title(id: u64) -> Title {
    let mut state = SEED ^ (id << 20);
    let [kind, genre, provider, length] = std::array::from_fn(|_| scattered(&mut state));
    let one_of = |all: &[&'static str], drawn: u64| all[(drawn % all.len() as u64) as usize];
    let (genre, provider) = (one_of(&GENRES, genre), one_of(&PROVIDERS, provider));
    let (what, season, episode, minutes) = match kind % 3 {
        0 => ("film", "null".to_owned(), "null".to_owned(), 70 + length % 110),
        _ => ("episode", (1 + kind / 3 % 6).to_string(), (1 + kind / 18 % 12).to_string(), 20 + length % 40),
    };
    let json = format!(
        "\"media_id\":\"m{id:05}\",\"title\":\"Title {id}\",\"type\":\"{what}\",\"season\":{season},\"episode\":{episode},\
         \"provider\":\"{provider}\",\"genre\":\"{genre}\""
    );
    Title { json, words: format!("title {id}"), seconds: minutes as i64 * 60 }
}

impl Scene for Media {
    type Event = Event;

    fn per_visit(&self) -> f64 {
        // Half of the visits search, the others look around; then titles are watched.
        1.0 + 0.5 + 0.5 * self.rates.play_permille / 1000.0 + 0.8
    }

    fn visit(&mut self, random: &mut ChaCha8Rng, mut at: i64, made: &mut Vec<(i64, Event)>) {
        let user = random.random_range(0..self.users) as u32;
        // Everybody has one device, some another one.
        let mut own = SEED ^ u64::from(user);
        let devices = [scattered(&mut own), scattered(&mut own)].map(|drawn| (drawn % DEVICES.len() as u64) as u8);
        let device = devices[usize::from(random.random_bool(0.2))];
        let title =
            |media: &Media, random: &mut ChaCha8Rng| (media.popularity.sample(random) as u64 * 7 % TITLES) as u16;
        let mut event = |media: &Media, random: &mut ChaCha8Rng, kind: Kind, title: u16| {
            at += media.pause.sample(random) as i64 + 1_000;
            let seconds = media.titles[usize::from(title)].seconds as u32;
            let is_whole = random.random_bool(media.rates.watched_permille / 1000.0);
            let watched = if is_whole { seconds } else { random.random_range(0..seconds) };
            made.push((at, Event { kind, user, device, title, watched }));
            if kind == Kind::Play {
                at += i64::from(watched) * 1_000;
            }
        };
        let mut looked_for = title(self, random);
        event(self, random, Kind::Browse, looked_for);
        if random.random_bool(0.5) {
            event(self, random, Kind::Search, looked_for);
            if random.random_bool(self.rates.play_permille / 1000.0) {
                event(self, random, Kind::Play, looked_for);
            }
        } else {
            event(self, random, Kind::Browse, looked_for);
        }
        // Some go on with the next one.
        while random.random_bool(0.444) {
            looked_for = title(self, random);
            event(self, random, Kind::Play, looked_for);
        }
    }

    /// Records in records are no separated values.
    fn header(&self) -> Option<String> {
        None
    }

    fn own_flaws(&self) -> u8 {
        3
    }

    fn write(&mut self, event: &Event, at: i64, flaw: Option<Flaw>, _: Form, line: &mut Vec<u8>) {
        let Event { kind, user, device, title, watched } = *event;
        let put = |line: &mut Vec<u8>, text: &str| line.extend_from_slice(text.as_bytes());
        let is_own = |own: u8| flaw == Some(Flaw::Own(own));
        let mut own = SEED ^ (u64::from(user) << 20);
        put(line, "{\"event_name\":\"customer_events\",\"timestamp\":\"");
        match flaw {
            Some(Flaw::NoTime) => put(line, "yesterday"),
            Some(_) | None => self.times.iso(at, line),
        }
        put(line, "\",\"event_type\":\"");
        put(
            line,
            match kind {
                _ if is_own(0) => "dance",
                Kind::Play => "content_play",
                Kind::Search => "search",
                Kind::Browse => "browse",
            },
        );
        put(line, "\",\"user_subscription\":{\"user_id\":");
        number(if is_own(1) { 0 } else { i64::from(user) + 1 }, line);
        put(line, ",\"plan\":\"");
        put(line, PLANS[(scattered(&mut own) % 3) as usize]);
        put(line, "\",\"since\":\"");
        put(line, &self.since[(scattered(&mut own) % DAYS as u64) as usize]);
        put(line, "\"},\"device\":{");
        put(line, DEVICES[usize::from(device)]);
        put(line, "},\"location\":{");
        put(line, PLACES[(scattered(&mut own) % PLACES.len() as u64) as usize]);
        let title = &self.titles[usize::from(title)];
        match kind {
            Kind::Play => {
                put(line, "},\"content\":{");
                put(line, &title.json);
                put(line, "},\"event_details\":{\"watch_seconds\":");
                number(if is_own(2) { -1 } else { watched.into() }, line);
                put(line, ",\"duration_seconds\":");
                number(title.seconds, line);
                put(
                    line,
                    ",\"query\":null},\"user_action\":[{\"action\":\"play\",\"position\":0},{\"action\":\"pause\",\"position\":",
                );
                number(watched.into(), line);
                put(line, "}],\"recommendations\":[],\"search_history\":[]}");
            }
            Kind::Search | Kind::Browse => {
                let query = |line: &mut Vec<u8>| match kind {
                    Kind::Search => {
                        put(line, "\"");
                        put(line, &title.words);
                        put(line, "\"");
                    }
                    Kind::Play | Kind::Browse => put(line, "null"),
                };
                put(line, "},\"content\":null,\"event_details\":{\"watch_seconds\":");
                put(line, if is_own(2) { "-1" } else { "null" });
                put(line, ",\"duration_seconds\":null,\"query\":");
                query(line);
                put(line, "},\"user_action\":[],\"recommendations\":[{");
                put(line, title.json.split(',').next().unwrap_or_default());
                put(line, ",\"algorithm\":\"popular\",\"rank\":1}],\"search_history\":[");
                if kind == Kind::Search {
                    query(line);
                }
                put(line, "]}");
            }
        }
    }

    fn person(&self, event: &Event) -> u64 {
        u64::from(event.user) + 1
    }
}
