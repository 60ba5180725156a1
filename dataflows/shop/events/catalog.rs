//! `movies_catalog_enriched`: a version of a catalog item.

use super::shared::{self, ADDRESS_IN_KEY, BAD_ITEM_ID};
use super::{Event, Rules};
use crate::item::ItemId;
use crate::shop::price::{list_price, reason};
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Rejection, Topic, Write, Written, bounds, mask, money};
use serde::{Deserialize, Serialize};

/// A version of a catalog item. Lists and the map are canonical JSON text, so that "whole record
/// content" orders alike here and in SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CatalogItem {
    /// When this version was made.
    pub timestamp: Instant,
    /// Which item.
    pub item_id: ItemId,
    /// Everything else: two versions with equal content are one version.
    pub content: CatalogContent,
    /// From when on it is valid, if that was decided when it was read before.
    pub decided: Option<Instant>,
}

/// What a catalog version says of its item. The order of the fields is the order of ties.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CatalogContent {
    /// The title; empty where the source has none.
    pub title: String,
    /// In cents; never 0 for want of a price.
    pub price_cents: Option<i64>,
    /// Why there is no price.
    pub price_reason: Option<String>,
    /// The price as it was written.
    pub list_price_raw: Option<String>,
    /// Product group.
    pub product_group: Option<String>,
    /// Binding.
    pub binding: Option<String>,
    /// Genre.
    pub genre: Option<String>,
    /// Studio.
    pub studio: Option<String>,
    /// Brand.
    pub brand: Option<String>,
    /// As written: `yyyy`, `yyyy-mm` or `yyyy-mm-dd`.
    pub release_date: Option<String>,
    /// A certificate, not a score.
    pub audience_rating: Option<String>,
    /// As written; units are mixed in the source.
    pub running_time: Option<String>,
    /// JSON list.
    pub directors: String,
    /// JSON list.
    pub actors: String,
    /// JSON list.
    pub languages: String,
    /// JSON object of all other keys to lists.
    pub attributes: String,
}

impl CatalogContent {
    /// Its texts, each as it came.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [
            &mut self.list_price_raw,
            &mut self.product_group,
            &mut self.binding,
            &mut self.genre,
            &mut self.studio,
            &mut self.brand,
            &mut self.release_date,
            &mut self.audience_rating,
            &mut self.running_time,
        ];
        let lists = [&mut self.directors, &mut self.actors, &mut self.languages, &mut self.attributes];
        [&mut self.title].into_iter().chain(optional.into_iter().flatten()).chain(lists)
    }

    fn is_short(&self) -> Result<(), Rejection> {
        let CatalogContent { title, list_price_raw, product_group, binding, genre, studio, brand, .. } = self;
        let CatalogContent { release_date, audience_rating, running_time, directors, actors, languages, .. } = self;
        let texts = [
            ("list_price_raw", list_price_raw),
            ("product_group", product_group),
            ("binding", binding),
            ("genre", genre),
            ("studio", studio),
            ("brand", brand),
            ("release_date", release_date),
            ("audience_rating", audience_rating),
            ("running_time", running_time),
        ];
        bounds::of_text("title", title.len())?;
        let mut bytes = title.len();
        for (field, text) in texts {
            let length = text.as_ref().map_or(0, String::len);
            bounds::of_text(field, length)?;
            bytes += length;
        }
        let lists = [directors, actors, languages, &self.attributes];
        bytes += lists.into_iter().map(String::len).sum::<usize>();
        bounds::together("the version of the item", bytes as u64)
    }
}

impl CatalogItem {
    /// The event of a version, and whether there was an e-mail address in clear in any text, which is masked.
    ///
    /// # Errors
    /// [`Reason::TOO_LONG`], with what is: a text, or all together. Lists have many texts, each short enough by
    /// itself: they count together.
    pub fn accepted(mut self) -> Result<(Event, bool), Rejection> {
        self.content.is_short()?;
        let masked = self.content.texts_mut().fold(false, |masked, text| mask::in_place(text) | masked);
        Ok((Event::Catalog(Box::new(self)), masked))
    }
}

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "movies_catalog_enriched",
        event: "movies_catalog_enriched",
        schema: include_str!("../../../schemas/events/movies_catalog_enriched.avsc"),
        // Prices must be known before anything is sold.
        is_read_first: true,
    },
    key: "item_id",
    // It speaks of items, not of time.
    carries_time: false,
    reasons: &[],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "movies_catalog_enriched", "item_id": "7",
        "title": "Night Train", "price": 9.99, "studio": "Studio", "directors": ["Jane"], "attributes": {}}"#,
    flaws: &[
        Flaw::new("item_id", "", Reason::MISSING_FIELD),
        Flaw::new("item_id", r#"" ""#, BAD_ITEM_ID),
        Flaw::new("item_id", r#""jane@mail.ge""#, ADDRESS_IN_KEY),
        Flaw::new("item_id", "[7]", Reason::WRONG_TYPE),
        Flaw::new("title", "[]", Reason::WRONG_TYPE),
        Flaw::new("studio", r#""One", "studio": "Other""#, Reason::DUPLICATE_FIELD),
        Flaw::new("directors", r#""Jane""#, Reason::WRONG_TYPE),
        Flaw::new("attributes", "[]", Reason::WRONG_TYPE),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let item_id = shared::item_id(fields, "item_id");
    fields.read_besides();
    let price = fields.field("price", Kind::Plain);
    let mut text = |name| fields.field(name, Kind::Text);
    let (title, list_price_raw, product_group) = (text("title"), text("list_price_raw"), text("product_group"));
    let (binding, genre, studio, brand) = (text("binding"), text("genre"), text("studio"), text("brand"));
    let (release_date, audience_rating) = (text("release_date"), text("audience_rating"));
    let running_time = text("running_time");
    let mut texts = |name| fields.field(name, Kind::Texts);
    let (directors, actors, languages) = (texts("directors"), texts("actors"), texts("languages"));
    let attributes = fields.field("attributes", Kind::Attributes);
    Box::new(move |record, _| {
        let wire = &mut *record.wire;
        let list_price_raw = wire.written(list_price_raw)?;
        let price = match (wire.take(price).as_ref().map(money::cents), &list_price_raw) {
            (Some(Ok(cents)), _) if cents > 0 => Ok(cents),
            (Some(Ok(_)), _) => Err(reason::NOT_POSITIVE),
            (Some(Err(_)), _) => Err(reason::UNPARSABLE),
            (None, Some(raw)) => list_price(raw),
            (None, None) => Err(reason::ABSENT),
        };
        let item = CatalogItem {
            timestamp: record.timestamp,
            item_id: item_id(wire)?,
            content: CatalogContent {
                title: wire.written(title)?.unwrap_or_default(),
                price_cents: price.ok(),
                price_reason: price.err().map(str::to_owned),
                list_price_raw,
                product_group: wire.written(product_group)?,
                binding: wire.written(binding)?,
                genre: wire.written(genre)?,
                studio: wire.written(studio)?,
                brand: wire.written(brand)?,
                release_date: wire.written(release_date)?,
                audience_rating: wire.written(audience_rating)?,
                running_time: wire.written(running_time)?,
                directors: wire.texts(directors)?,
                actors: wire.texts(actors)?,
                languages: wire.texts(languages)?,
                attributes: wire.attributes(attributes)?,
            },
            decided: None,
        };
        let (event, masked) = item.accepted()?;
        record.masked = masked;
        Ok(event)
    })
}

impl Write for CatalogItem {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        let content = &self.content;
        fn text(text: &Option<String>) -> Written<'_> {
            Written::text(text.as_deref())
        }
        vec![
            ("item_id", Written::Text(self.item_id.to_string().into())),
            ("title", Written::Text((&content.title).into())),
            ("price", content.price_cents.map_or(Written::Null, Written::Dollars)),
            ("list_price_raw", text(&content.list_price_raw)),
            ("product_group", text(&content.product_group)),
            ("binding", text(&content.binding)),
            ("genre", text(&content.genre)),
            ("studio", text(&content.studio)),
            ("brand", text(&content.brand)),
            ("release_date", text(&content.release_date)),
            ("audience_rating", text(&content.audience_rating)),
            ("running_time", text(&content.running_time)),
            ("directors", Written::texts(&content.directors)),
            ("actors", Written::texts(&content.actors)),
            ("languages", Written::texts(&content.languages)),
            ("attributes", Written::attributes(&content.attributes)),
        ]
    }

    fn spoil(&mut self) {}
}
