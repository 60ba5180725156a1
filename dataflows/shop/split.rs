//! What each event is to the metrics.

use super::RAW;
use super::columns::column;
use super::operators::carts::{Cart, CartEvent, InCart, Line};
use super::operators::sessions::SignAt;
use super::operators::versions::Version;
use super::over::Readers;
use super::raw::{ITEM_VIEW_EVENTS, append, own, table_of};
use crate::declared::family::of_value;
use crate::declared::row::{Datum, Declared, Row};
use crate::events::{CatalogItem, Event, Logs, Origin, Registration};
use crate::item::ItemId;
use crate::operators::{Judged, Met};
use crate::raw::{Append, clean};
use crate::shop::cart::CartId;
use crate::shop::settings::Settings;
use crate::sip;
use crate::table::{TableId, Value};
use crate::time::{Instant, Timed};
use serde::{Deserialize, Serialize};

/// That a user did something, in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Deed {
    /// Who.
    pub user_id: u64,
    /// When.
    pub at: Instant,
    /// What, as far as it is not counted elsewhere.
    pub what: Did,
}

/// What a user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Did {
    /// Registered.
    Register,
    /// Looked at an item.
    View,
    /// Anything else.
    Other,
}

/// A view of an item: who looked at what. When it was is said beside it.
pub type Viewed = (u64, ItemId);

/// Not secret, as that of declared events is not.
const KEY: [u64; 2] = [0x7461_6d61_7274_6c65, 0x6f6e_6365_0000_0002];

/// A view by all that it says: of other events each way to read them counts a repeated one once.
fn met(at: Instant, user_id: u64, item_id: &ItemId, spare: &mut Vec<u8>) -> Met<Viewed> {
    spare.clear();
    spare.extend_from_slice(&at.to_le_bytes());
    spare.extend_from_slice(&user_id.to_le_bytes());
    match item_id.parts() {
        Ok(number) => spare.extend_from_slice(&number.to_le_bytes()),
        Err(text) => spare.extend(text.bytes().chain([0])),
    }
    spare.push(item_id.parts().is_ok().into());
    Met { print: sip::hash(KEY, spare), at, what: Some((user_id, item_id.clone())) }
}

/// An event by its row in a raw table, without where it came from: SQL that is declared need not read all of it. `column`
/// adds one of its columns.
fn print(id: TableId, mut column: impl FnMut(usize, &mut Vec<u8>), spare: &mut Vec<u8>) -> u128 {
    spare.clear();
    spare.extend(id.name().bytes().chain([0]));
    let table = id.table();
    (0..table.columns.len() - table.key_columns).for_each(|place| column(place, spare));
    sip::hash(KEY, spare)
}

/// A column of what is printed.
fn push(value: &Datum<'_>, out: &mut Vec<u8>) {
    let (boolean, word);
    let bytes: &[u8] = match value {
        Datum::Null => &[],
        Datum::Boolean(value) => {
            boolean = [u8::from(*value)];
            &boolean
        }
        Datum::Number(number) | Datum::Instant(number) => {
            word = number.to_le_bytes();
            &word
        }
        Datum::Text(text) => text.as_bytes(),
    };
    out.push(u8::from(!value.is_null()));
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The same, of its row.
fn print_of_row(id: TableId, row: &[Value], spare: &mut Vec<u8>) -> u128 {
    let own = row.get(id.table().key_columns..).unwrap_or_default();
    print(id, |place, out| own.get(place).into_iter().for_each(|value| push(&of_value(value), out)), spare)
}

/// The same, of the event.
fn print_of(event: &Event, (text, spare): (&mut String, &mut Vec<u8>)) -> u128 {
    print(table_of(event), |place, out| push(&column(event, place, text), out), spare)
}

/// By what the event of a row of a raw table is known again: as what SQL reads, and a view as a view.
pub(super) fn prints(id: TableId, row: &[Value]) -> Vec<u128> {
    let mut spare = Vec::new();
    let mut prints = vec![print_of_row(id, row, &mut spare)];
    // Behind where it came from: its name, its time, its user and its item.
    if id == ITEM_VIEW_EVENTS
        && let Some([_, Value::Instant(at), Value::Integer(user_id), Value::Text(item)]) =
            row.get(id.table().key_columns..)
    {
        prints.push(met(*at, *user_id as u64, &ItemId::from(item.as_str()), &mut spare).print);
    }
    prints
}

crate::taps! {
    /// Registrations, late ones too.
    registrations: Registration;
    /// When who registered.
    registered: (Instant, u64);
    /// When who checked out or purchased.
    checked_out: (Instant, u64);
    /// When who signed in or out.
    signs: (u64, SignAt);
    /// What happened to carts that have a UUID.
    carts: (u128, CartEvent);
    /// What happened to carts that have another id.
    carts_of_texts: (Box<str>, CartEvent);
    /// Finished purchases.
    purchases: Line;
    /// Who did something, and when.
    deeds: Deed;
    /// Views of items, where each counts.
    views: ItemId;
    /// Views of items, where those that are repeated count once.
    viewed: Met<Viewed>;
    /// Ratings: who rated what, when, and how.
    ratings: ((u64, ItemId), (Instant, u32));
    /// Catalog versions; never late.
    catalog: (ItemId, Version);
    /// What metrics read that are declared in SQL: which of them, by its place, and the event.
    declared: (usize, Declared);
    /// The same, where events that are repeated count once.
    declared_met: Met<(usize, Row)>;
    /// Rows of the raw tables, of late events too.
    raw: Append;
    /// Clean events: those that are late, versions of the catalog, and all others where each counts.
    clean: Append;
    /// Clean events in time, where those that are repeated count once: of which raw table, by its place, and what they say.
    clean_met: Met<(usize, Vec<Value>)>;
}

impl Timed for Event {
    fn timestamp(&self) -> Instant {
        Event::timestamp(self)
    }

    fn carries_time(&self) -> bool {
        Event::carries_time(self)
    }
}

/// Puts what is made of each event where metrics read it. A catalog version is never late: it takes effect no earlier
/// than the catalog's cut.
pub(super) fn route(
    routes: Routes,
    settings: &Settings,
    readers: Readers,
    logs: Logs,
) -> impl FnMut(Event, &Origin, Judged) + 'static {
    let (settings, mut readers, mut spare, mut text) = (settings.clone(), readers, Vec::new(), String::new());
    move |event, origin, Judged { is_late, watermark }| {
        let decided = if let Event::Catalog(item) = &event { item.decided } else { None };
        let effective_at = decided.unwrap_or_else(|| event.timestamp().max(settings.catalog_cut(watermark)));
        if settings.lane.raw {
            routes.raw.put(|| append(&event, origin, effective_at, &logs));
        }
        if is_late || !settings.once || !event.carries_time() {
            routes.clean.put(|| clean(table_of(&event), own(&event, effective_at), is_late));
        } else {
            routes.clean_met.put(|| {
                let print = print_of(&event, (&mut text, &mut spare));
                let place = RAW.iter().position(|id| *id == table_of(&event));
                Met { print, at: event.timestamp(), what: place.map(|place| (place, own(&event, effective_at))) }
            });
        }
        let read = if is_late { None } else { readers.event(&event) };
        match read {
            Some((place, Declared { at, row })) if settings.once => routes.declared_met.put(|| {
                let print = print_of(&event, (&mut text, &mut spare));
                Met { print, at, what: Some((place, row)) }
            }),
            read => read.into_iter().for_each(|read| routes.declared.put(|| read)),
        }
        if !is_late {
            in_time(&event, &routes, settings.once.then_some(&mut spare));
        }
        match event {
            Event::Registration(event) => routes.registrations.put(|| event),
            Event::Catalog(event) => routes.catalog.put(|| {
                let CatalogItem { item_id, content, timestamp, decided: _ } = *event;
                (item_id, Version { effective_at, timestamp, content: Box::new(content) })
            }),
            Event::SignIn(_)
            | Event::SignOut(_)
            | Event::ItemView(_)
            | Event::AddedToCart(_)
            | Event::Checkout(_)
            | Event::Purchase(_)
            | Event::ItemRating(_) => {}
        }
    }
}

fn in_cart(id: &CartId, event: impl FnOnce() -> CartEvent, routes: &Routes) {
    match id.parts() {
        Ok(id) => routes.carts.put(|| (id, event())),
        Err(text) => routes.carts_of_texts.put(|| (text.into(), event())),
    }
}

/// `once` is where what stands for an event is made, if those that are repeated count once.
fn in_time(event: &Event, routes: &Routes, once: Option<&mut Vec<u8>>) {
    let at = event.timestamp();
    let (user_id, what) = match event {
        Event::Registration(event) => {
            routes.registered.put(|| (at, event.user_id));
            (event.user_id, Did::Register)
        }
        Event::SignIn(sign) | Event::SignOut(sign) => {
            let is_in = matches!(event, Event::SignIn(_));
            routes.signs.put(|| (sign.user_id, SignAt { at, is_in }));
            (sign.user_id, Did::Other)
        }
        Event::ItemView(event) => {
            if let Some(spare) = once {
                return routes.viewed.put(|| met(at, event.user_id, &event.item_id, spare));
            }
            routes.views.put(|| event.item_id.clone());
            (event.user_id, Did::View)
        }
        Event::AddedToCart(event) => {
            let what = || InCart::Add(event.item_id.clone(), event.user_id);
            in_cart(&event.cart_id, || CartEvent { at, what: what() }, routes);
            (event.user_id, Did::Other)
        }
        Event::Checkout(event) => {
            routes.checked_out.put(|| (at, event.user_id));
            in_cart(&event.cart_id, || CartEvent { at, what: InCart::Checkout(event.user_id) }, routes);
            (event.user_id, Did::Other)
        }
        Event::Purchase(event) => {
            routes.checked_out.put(|| (at, event.user_id));
            routes.purchases.put(|| Line {
                movie_id: event.movie_id.clone(),
                sold_at: at,
                added_at: at,
                cart: Cart::Purchase(event.user_id),
                user_id: event.user_id,
                own_cents: Some(event.purchase_amount_cents),
            });
            (event.user_id, Did::Other)
        }
        Event::ItemRating(event) => {
            routes.ratings.put(|| ((event.user_id, event.item_id.clone()), (at, event.rating)));
            (event.user_id, Did::Other)
        }
        Event::Catalog(_) => return,
    };
    routes.deeds.put(|| Deed { user_id, at, what });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::raw::tests::{events, row};

    #[test]
    fn an_event_is_known_again_by_its_row_and_by_itself() {
        let mut text = "more than is there".to_owned();
        for event in events().iter().filter(|event| !matches!(event, Event::Catalog(_))) {
            let row = row(event);
            let of_row = prints(row.table, &row.values)[0];
            assert_eq!(print_of(event, (&mut text, &mut Vec::new())), of_row, "{}", event.name());
        }
    }

    /// They are in snapshots. These were computed by another program.
    #[test]
    fn prints_stay_what_they_are() {
        for (name, is) in [
            ("item_rating", 0x691c_45f1_7f65_2f58_1fda_a8a7_a575_873c),
            ("purchase", 0x5b41_910e_0854_6fed_5e44_3abe_d433_756c),
            ("sign_in", 0xbf16_4b4a_b0f9_cd38_9180_ec61_54eb_83f8),
        ] {
            let event = events().into_iter().find(|event| event.name() == name).expect("there is one");
            assert_eq!(print_of(&event, (&mut String::new(), &mut Vec::new())), is, "{name}");
        }
    }
}
