//! `_progress` as it stands in a sink, read in one place: what is not what was written is refused, and nothing is guessed.

use super::{MadeBy, Progress, SinkError};
use crate::instant;
use crate::lanes::Watermarks;
use dataflows::Instant;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// So many characters of what a field holds are repeated.
const SHOWN: usize = 80;

/// The fields of `_progress` as a sink holds them, before any of them is believed; null where there is none.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Text.
    pub pipeline_id: Json,
    /// A whole number.
    pub generation: Json,
    /// `run`, `batch` or `simulate`.
    pub made_by: Json,
    /// A whole number.
    pub epoch: Json,
    /// An object of whole numbers, or the text of one.
    pub positions: Json,
    /// An instant as text: the least of the watermarks.
    pub watermark: Json,
    /// An object of instants, or the text of one; nothing of before families had names.
    pub watermarks: Json,
    /// An instant as text.
    pub committed_at: Json,
}

impl Found {
    /// What the fields say. `place` is what holds them; `way_out` says what to do if they cannot be believed.
    ///
    /// # Errors
    /// [`SinkError::Failed`] if a field holds what is never written: which one, and what it holds.
    pub fn read(&self, place: &str, way_out: &str) -> Result<Progress, SinkError> {
        let refused = |field: &str, found: &str, expected: &str| {
            SinkError::Failed(format!(
                "could not read `_progress` of {place}: `{field}` is {found}; expected {expected}. Without it nobody \
                 knows how far the rows are, and none were written. {way_out}"
            ))
        };
        let number = |field, value: &Json| {
            // A warehouse holds signed numbers.
            let number = value.as_u64().filter(|number| i64::try_from(*number).is_ok());
            number.ok_or_else(|| refused(field, &shown(value), "a whole number, 0 or more"))
        };
        let at = |field, value: &Json| {
            let at = value.as_str().and_then(instant::written);
            at.ok_or_else(|| refused(field, &shown(value), "an instant such as 2026-01-05T10:00:00.000Z"))
        };
        let id = self.pipeline_id.as_str().filter(|id| !id.is_empty());
        let least = at("watermark", &self.watermark)?;
        let watermarks = watermarks(&self.watermarks, least)
            .map_err(|found| refused("watermarks", &found, "an object with the watermark of each family"))?;
        let made_by = self.made_by.as_str().and_then(MadeBy::named);
        Ok(Progress {
            pipeline_id: id
                .ok_or_else(|| refused("pipeline_id", &shown(&self.pipeline_id), "the name of a pipeline"))?
                .to_owned(),
            generation: number("generation", &self.generation)?,
            made_by: made_by
                .ok_or_else(|| refused("made_by", &shown(&self.made_by), "`run`, `batch` or `simulate`"))?,
            epoch: number("epoch", &self.epoch)?,
            positions: positions(&self.positions).map_err(|found| {
                refused("positions", &found, "an object with the next offset of each `topic/partition`")
            })?,
            watermarks,
            committed_at: at("committed_at", &self.committed_at)?,
        })
    }
}

/// The watermark of each family; `least` is the least of them, which stands beside.
fn watermarks(value: &Json, least: Instant) -> Result<Watermarks, String> {
    if value.is_null() {
        return Ok(Watermarks::of_shop(least));
    }
    let read: serde_json::Result<Watermarks> = match value.as_str() {
        Some(text) => serde_json::from_str(text),
        None => serde_json::from_value(value.clone()),
    };
    let read = read.map_err(|_| shown(value))?;
    // What one writer wrote is in both.
    if read.least() == least {
        Ok(read)
    } else {
        Err(format!("{} beside `watermark` {}", shown(value), instant::show(least)))
    }
}

fn positions(value: &Json) -> Result<BTreeMap<String, i64>, String> {
    let parsed = value.as_str().map(serde_json::from_str::<Json>);
    let object = match &parsed {
        Some(parsed) => parsed.as_ref().ok().and_then(Json::as_object),
        None => value.as_object(),
    };
    let position = |(partition, offset): (&String, &Json)| {
        let number = offset.as_i64().ok_or_else(|| format!("{} for `{partition}`", shown(offset)))?;
        Ok((partition.clone(), number))
    };
    object.ok_or_else(|| shown(value))?.iter().map(position).collect()
}

/// What a field holds, cut to a length.
fn shown(value: &Json) -> String {
    if value.is_null() {
        return "empty".to_owned();
    }
    let text = value.to_string();
    let beginning: String = text.chars().take(SHOWN).collect();
    if beginning.len() < text.len() { format!("`{beginning}...`") } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written() -> Json {
        json!({
            "pipeline_id": "7b0f", "generation": 3, "made_by": "run", "epoch": 8, "positions": {"shop/0": 12},
            "watermark": "2026-01-05T10:00:00.000Z", "committed_at": "2026-01-05T10:02:00.000Z",
        })
    }

    fn read(fields: Json) -> Result<Progress, SinkError> {
        let found: Found = serde_json::from_value(fields).expect("fields");
        found.read("warehouse `w`", "Put it back.")
    }

    #[test]
    fn what_was_ever_written_is_read() {
        let progress = read(written()).expect("ours");
        assert_eq!((progress.generation, progress.epoch, progress.made_by), (3, 8, MadeBy::Run));
        assert_eq!(progress.positions, BTreeMap::from([("shop/0".to_owned(), 12)]));
        // As text, where a sink has no objects; and what nobody has committed to.
        for positions in [json!("{}"), json!("{\"shop/0\":12}"), json!({})] {
            let fields = [("positions", positions), ("epoch", json!(0)), ("generation", json!(0))];
            let mut all = written();
            fields.into_iter().for_each(|(field, value)| all[field] = value);
            assert_eq!(read(all).expect("ours").epoch, 0);
        }
        // The watermark of each family, and of before families had names the shop's.
        assert_eq!(progress.watermarks, Watermarks::of_shop(1_767_607_200_000));
        let each = json!({"shop": "2026-01-05T11:00:00.000Z", "toys": "2026-01-05T10:00:00.000Z"});
        for watermarks in [each.to_string().into(), each] {
            let mut all = written();
            all["watermarks"] = watermarks;
            let found = read(all).expect("ours").watermarks;
            assert_eq!((found.of("shop"), found.least()), (1_767_610_800_000, 1_767_607_200_000));
        }
        for made_by in [MadeBy::Run, MadeBy::Batch, MadeBy::Simulator] {
            let mut all = written();
            all["made_by"] = json!(made_by.name());
            assert_eq!(read(all).expect("ours").made_by, made_by);
        }
        for at in [0, -1, 1, 1_767_607_200_123, -62_135_596_800_000, 253_402_300_799_999, i64::MIN, i64::MAX] {
            let mut all = written();
            all["watermark"] = json!(instant::show(at));
            all["committed_at"] = json!(instant::show(at));
            let progress = read(all).expect("ours");
            assert_eq!((progress.watermarks.least(), progress.committed_at), (at.max(0), at));
        }
    }

    #[test]
    fn what_was_never_written_is_refused_with_its_field_and_its_value() {
        let never = [
            ("pipeline_id", json!(""), "`\"\"`"),
            ("pipeline_id", json!(7), "`7`"),
            ("generation", json!(-1), "`-1`"),
            ("generation", json!("3"), "`\"3\"`"),
            ("generation", json!(u64::MAX), "`18446744073709551615`"),
            ("made_by", json!("anything"), "`\"anything\"`"),
            ("made_by", json!("RUN"), "`\"RUN\"`"),
            ("epoch", json!(1.5), "`1.5`"),
            ("epoch", json!(-2), "`-2`"),
            ("positions", json!("{\"shop/0\":"), "`\"{\\\"shop/0\\\":\"`"),
            ("positions", json!([1]), "`[1]`"),
            ("positions", json!({"shop/0": "x"}), "`\"x\"` for `shop/0`"),
            ("positions", json!("{\"shop/0\":null}"), "empty for `shop/0`"),
            ("watermark", json!("yesterday"), "`\"yesterday\"`"),
            ("watermarks", json!({"shop": 5}), "`{\"shop\":5}`"),
            ("watermarks", json!("{\"shop\":\"soon\"}"), "soon"),
            ("watermarks", json!({"shop": "2026-01-05T11:00:00.000Z"}), "beside `watermark` 2026-01-05T10:00:00"),
            ("watermarks", json!({}), "beside `watermark` 2026-01-05T10:00:00"),
            ("watermark", json!(5), "`5`"),
            ("committed_at", json!(""), "`\"\"`"),
            ("committed_at", json!("x".repeat(200)), "xxx...`"),
        ];
        let all = written();
        let gone = all.as_object().expect("fields").keys().map(|field| (field.clone(), Json::Null, "empty"));
        let never = never.into_iter().map(|(field, value, said)| (field.to_owned(), value, said)).chain(gone);
        for (field, value, said) in never {
            let mut all = written();
            all[&field] = value;
            let error = read(all).expect_err(&field);
            let SinkError::Failed(why) = error else { panic!("{error:?}") };
            for part in ["warehouse `w`", &format!("`{field}` is "), said, "expected", "Put it back."] {
                assert!(why.contains(part), "{part}: {why}");
            }
        }
    }
}
