use super::{any_line, rules};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike};
use deltamart::accept::accept;
use deltamart::decode::Format;
use deltamart::instant;
use proptest::prelude::*;

/// How an instant is written: which of its forms each part has.
#[derive(Debug, Clone)]
struct Form {
    date: usize,
    basic_date: bool,
    between: &'static str,
    basic_time: bool,
    /// Hours and minutes; seconds too; and a fraction of so many digits.
    parts: usize,
    comma: bool,
    digits: usize,
    offset: usize,
    zone: &'static str,
    around: (&'static str, &'static str),
}

fn form() -> impl Strategy<Value = Form> {
    let date = (0usize..3, any::<bool>(), prop::sample::select(vec!["T", "t", " "]));
    let time = (any::<bool>(), 2usize..5, any::<bool>(), 1usize..12);
    let zone = prop::sample::select(vec!["", "", "[UTC]", "[Asia/Tbilisi]", "[Etc/GMT+4]", "[+04:00][u-ca=iso8601]"]);
    let around = prop::sample::select(vec![("", ""), (" ", ""), ("\u{a0}", "\n")]);
    (date, time, 0usize..12, zone, around).prop_map(|(date, time, offset, zone, around)| Form {
        date: date.0,
        basic_date: date.1,
        between: date.2,
        basic_time: time.0,
        parts: time.1,
        comma: time.2,
        digits: time.3,
        offset,
        zone,
        around,
    })
}

/// An instant in this form, and what the calendar says it is.
fn written(form: &Form, days: i64, of_day_ns: i64, offset_min: i64) -> (String, i64) {
    let date = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date") + TimeDelta::days(days);
    let mut local = date.and_time(chrono::NaiveTime::MIN) + TimeDelta::nanoseconds(of_day_ns);
    let hyphen = if form.basic_date { "" } else { "-" };
    let week = date.iso_week();
    let date = match form.date {
        // Weeks of the turn of a year may belong to years of other lengths.
        1 if (0..=9999).contains(&week.year()) => {
            format!("{:04}{hyphen}W{:02}{hyphen}{}", week.year(), week.week(), date.weekday().number_from_monday())
        }
        2 => format!("{:04}{hyphen}{:03}", date.year(), date.ordinal()),
        _ => format!("{:04}{hyphen}{:02}{hyphen}{:02}", date.year(), date.month(), date.day()),
    };
    let colon = if form.basic_time { "" } else { ":" };
    let mut time = format!("{:02}{colon}{:02}", local.hour(), local.minute());
    if form.parts == 2 {
        local = local.with_second(0).and_then(|local| local.with_nanosecond(0)).expect("a time");
    } else {
        time += &format!("{colon}{:02}", local.second());
    }
    if form.parts == 4 {
        let fraction = format!("{:09}000", local.nanosecond());
        time += &format!("{}{}", if form.comma { "," } else { "." }, &fraction[..form.digits]);
        // What was not written was not said.
        let unit = 10u32.pow(9u32.saturating_sub(form.digits as u32));
        local = local.with_nanosecond(local.nanosecond() / unit * unit).expect("a time");
    } else {
        local = local.with_nanosecond(0).expect("a time");
    }
    let (hours, minutes) = (offset_min.abs() / 60, offset_min.abs() % 60);
    let sign = if offset_min < 0 { '-' } else { '+' };
    let (offset, minutes_off) = match form.offset {
        0 => ("Z".to_owned(), 0),
        1 => ("z".to_owned(), 0),
        2 => (" UTC".to_owned(), 0),
        3 => (" Z".to_owned(), 0),
        4 | 5 => (format!("{sign}{hours:02}"), offset_min - offset_min.signum() * minutes),
        6 | 7 => (format!("{sign}{hours:02}{minutes:02}"), offset_min),
        8 | 9 => (format!("{sign}{hours:02}:{minutes:02}"), offset_min),
        10 => (format!(" {sign}{hours:02}{minutes:02}"), offset_min),
        _ => (String::new(), 0),
    };
    let zone = if offset.is_empty() { "" } else { form.zone };
    let (before, behind) = form.around;
    let text = format!("{before}{date}{}{time}{offset}{zone}{behind}", form.between);
    let at = local.and_utc() - TimeDelta::minutes(minutes_off);
    (text, at.timestamp_millis())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn instants_are_what_the_calendar_says(
        form in form(),
        // From the year 1 to the year 9998, and mostly of ours.
        days in prop_oneof![-719_000i64..2_932_000, -1_000i64..40_000],
        of_day_ns in 0i64..86_400_000_000_000,
        offset_min in -1_439i64..1_440,
    ) {
        let (text, at) = written(&form, days, of_day_ns, offset_min);
        prop_assert_eq!(instant::parse(&text), Some(at), "{}", text);
        // Where another reader takes it too, it says the same.
        if let Ok(other) = DateTime::parse_from_rfc3339(text.trim()) {
            prop_assert_eq!(other.timestamp_millis(), at, "{}", text);
        }
        let event = format!(r#"{{"event_name":"sign_in","user_id":1,"timestamp":{}}}"#, serde_json::json!(text));
        prop_assert_eq!(any_line(&event).map(|accepted| accepted.event.timestamp()), Ok(at), "{}", text);
    }

    /// A writing that somebody spoiled is an instant or none: it never ends the run.
    #[test]
    fn spoiled_writings_end_nothing(
        form in form(),
        days in 0i64..40_000,
        at in any::<prop::sample::Index>(),
        put in prop::option::of(any::<char>()),
        cut in 0usize..3,
    ) {
        let (text, _) = written(&form, days, 36_000_123_456_789, 240);
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        characters.splice(at..(at + cut).min(characters.len()), put);
        let text: String = characters.into_iter().collect();
        if let Some(at) = instant::parse(&text) {
            prop_assert_eq!(instant::parse(&instant::show(at)), Some(at));
        }
    }

    /// Milliseconds are read as they are, as a number, a double and digits; no number of another unit is.
    #[test]
    fn milliseconds_are_told_from_other_units(ms in 100_000_000_000i64..100_000_000_000_000) {
        let read = |written: String| {
            let text = format!(r#"{{"event_name":"sign_in","user_id":1,"timestamp":{written}}}"#);
            accept(&Format::Json(None), text.as_bytes(), &rules(), i64::MAX).map(|accepted| accepted.event.timestamp())
        };
        prop_assert_eq!(read(ms.to_string()), Ok(ms));
        prop_assert_eq!(read(format!("{ms}.0")), Ok(ms));
        prop_assert_eq!(read(format!("\" {ms}\"")), Ok(ms));
        for (units, name) in [(ms / 1000, "seconds"), (ms * 1_000, "microseconds"), (ms.saturating_mul(1_000_000), "nanoseconds")] {
            let why = read(units.to_string()).expect_err("another unit").detail;
            // Of the years to 2286 each unit has its own number of digits.
            if (1_000_000_000_000..10_000_000_000_000).contains(&ms) && units < i64::MAX {
                prop_assert!(why.contains(&format!("looks like {name}")), "{}: {}", units, why);
            }
        }
    }
}

#[test]
fn days_end_at_midnight_and_with_leap_seconds() {
    let midnight = instant::parse("2017-01-01T00:00:00Z");
    for text in [
        "2016-12-31T24:00Z",
        "2016-12-31T24:00:00Z",
        "20161231T240000.000Z",
        "2016-366T24:00Z",
        "2016-12-31T23:59:60Z",
        "2017-01-01T03:59:60+04:00",
        "2016-12-31T23:29:60-00:30",
    ] {
        assert_eq!(instant::parse(text), midnight, "{text}");
    }
    for text in ["2016-12-31T24:01Z", "2016-12-31T24:00:00.001Z", "2016-12-31T23:58:60Z", "2016-12-31T23:59:61Z"] {
        assert_eq!(instant::parse(text), None, "{text}");
    }
}
