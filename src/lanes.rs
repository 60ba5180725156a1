//! How far time has come, family by family: each has a watermark of its own.

use crate::families::SHOP;
use crate::instant;
use dataflows::Instant;
use dataflows::operators::TopTwo;
use dataflows::time::START;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How far one family has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The watermark.
    pub watermark: Instant,
    /// Where it is going: the next epoch's lateness is judged by it.
    pub target: Instant,
    /// The largest event times of its sequence.
    #[serde(default, skip_serializing_if = "TopTwo::is_empty")]
    pub lines: TopTwo,
}

/// How far each family has come, by its name. One that is not named has not begun. What was once known stays, also of a
/// family that is not there any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Named")]
pub struct Lanes(pub BTreeMap<String, Times>);

#[derive(Serialize)]
struct Named {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lanes: BTreeMap<String, Times>,
}

/// As it is written down; before anything named its family there was one.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    lanes: BTreeMap<String, Times>,
    watermark: Option<Instant>,
    #[serde(default)]
    target: Instant,
    #[serde(default)]
    lines: TopTwo,
}

impl From<Lanes> for Named {
    fn from(Lanes(lanes): Lanes) -> Named {
        Named { lanes }
    }
}

impl From<Written> for Lanes {
    fn from(Written { mut lanes, watermark, target, lines }: Written) -> Lanes {
        let before = watermark.map(|watermark| Times { watermark, target, lines });
        if let Some(lane) = before.filter(|lane| *lane != Times::default()) {
            lanes.entry(SHOP.name().to_owned()).or_insert(lane);
        }
        Lanes(lanes)
    }
}

impl Lanes {
    /// Of one family; as if it had not begun, if it is not known.
    pub fn of(&self, family: &str) -> Times {
        self.0.get(family).copied().unwrap_or_default()
    }

    /// Takes in what an epoch says of those that it names; of the largest event times it knows only its own.
    pub fn learn(&mut self, of_epoch: &Lanes) {
        for (family, Times { watermark, target, lines }) in &of_epoch.0 {
            let lane = self.0.entry(family.clone()).or_default();
            (lane.watermark, lane.target) = (*watermark, *target);
            lane.lines.merge(*lines);
        }
    }

    /// What an epoch says that is news to one who knows these.
    pub fn news(&self, of_epoch: &Lanes) -> Lanes {
        let is_news = |(family, lane): &(&String, &Times)| {
            let known = self.of(family);
            (lane.watermark, lane.target) != (known.watermark, known.target) || !lane.lines.is_empty()
        };
        Lanes(of_epoch.0.iter().filter(is_news).map(|(family, lane)| (family.clone(), *lane)).collect())
    }

    /// The watermarks of those that have begun.
    pub fn watermarks(&self) -> Watermarks {
        let begun = self.0.iter().filter(|(_, lane)| lane.watermark > START);
        Watermarks(begun.map(|(family, lane)| (family.clone(), lane.watermark)).collect())
    }
}

/// The watermark of each family that has begun, by its name. As instants of ISO 8601, where it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Watermarks(pub BTreeMap<String, Instant>);

impl From<Watermarks> for BTreeMap<String, String> {
    fn from(Watermarks(of): Watermarks) -> BTreeMap<String, String> {
        of.into_iter().map(|(family, at)| (family, instant::show(at))).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Watermarks {
    type Error = String;

    fn try_from(written: BTreeMap<String, String>) -> Result<Watermarks, String> {
        let read = |(family, at): (String, String)| {
            let parsed = instant::written(&at).ok_or_else(|| format!("`{at}` for `{family}`"))?;
            Ok((family, parsed))
        };
        Ok(Watermarks(written.into_iter().map(read).collect::<Result<_, String>>()?))
    }
}

impl fmt::Display for Watermarks {
    /// The least, and if there are several, each of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&instant::show(self.least()))?;
        if self.0.len() > 1 {
            let each: Vec<_> = self.0.iter().map(|(family, at)| format!("`{family}` {}", instant::show(*at))).collect();
            write!(f, " ({})", each.join(", "))?;
        }
        Ok(())
    }
}

impl Watermarks {
    /// Before anything was read.
    pub const NONE: Watermarks = Watermarks(BTreeMap::new());

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a map of texts is JSON")
    }

    /// Of the movie shop alone: what was known before anything named its family.
    pub fn of_shop(watermark: Instant) -> Watermarks {
        let begun = (watermark > START).then(|| (SHOP.name().to_owned(), watermark));
        Watermarks(begun.into_iter().collect())
    }

    /// Of one family; if it has not begun, [`START`].
    pub fn of(&self, family: &str) -> Instant {
        self.0.get(family).copied().unwrap_or(START)
    }

    /// The least of them: so far everything has come. If none has begun, [`START`].
    pub fn least(&self) -> Instant {
        self.0.values().copied().min().unwrap_or(START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(watermark: Instant, target: Instant) -> Times {
        Times { watermark, target, lines: TopTwo::default() }
    }

    #[test]
    fn what_was_written_before_families_had_names_is_the_shops() {
        let read = |json: &str| serde_json::from_str::<Lanes>(json).expect("lanes");
        assert_eq!(read(r#"{"watermark":5,"target":7}"#), Lanes([("shop".to_owned(), lane(5, 7))].into()));
        assert_eq!(read(r#"{"watermark":0,"target":0}"#), Lanes::default());
        assert_eq!(read("{}"), Lanes::default());
        let both = Lanes([("shop".to_owned(), lane(5, 7)), ("toys".to_owned(), lane(1, 2))].into());
        let written = serde_json::to_string(&both).expect("JSON");
        assert_eq!(written, r#"{"lanes":{"shop":{"watermark":5,"target":7},"toys":{"watermark":1,"target":2}}}"#);
        assert_eq!(read(&written), both);
    }

    #[test]
    fn one_that_is_not_named_has_not_moved() {
        let mut known = Lanes([("shop".to_owned(), lane(5, 7)), ("toys".to_owned(), lane(1, 2))].into());
        let said = Lanes([("shop".to_owned(), lane(5, 7)), ("toys".to_owned(), lane(3, 3))].into());
        let news = known.news(&said);
        assert_eq!(news, Lanes([("toys".to_owned(), lane(3, 3))].into()));
        known.learn(&news);
        assert_eq!(known, said);
        assert_eq!(
            (known.watermarks().least(), known.watermarks().of("shop"), known.of("none").watermark),
            (3, 5, START)
        );
    }
}
