//! The columns of an event's row in its raw table, one at a time: no row is made of an event that only SQL reads.

use super::raw::BUYER;
use crate::declared::row::Datum;
use crate::events::Event;
use crate::item::ItemId;
use crate::shop::cart::CartId;
use std::fmt::{Display, Write};

/// What [`append`](super::raw::append) has in a column, counted behind where the event came from. An id that is a number
/// is written into `spare`. Versions of the catalog have none.
#[inline]
pub(super) fn column<'e>(event: &'e Event, place: usize, spare: &'e mut String) -> Datum<'e> {
    let user_id = match event {
        Event::Registration(e) => e.user_id,
        Event::SignIn(e) | Event::SignOut(e) => e.user_id,
        Event::ItemView(e) => e.user_id,
        Event::AddedToCart(e) => e.user_id,
        Event::Checkout(e) => e.user_id,
        Event::Purchase(e) => e.user_id,
        Event::ItemRating(e) => e.user_id,
        Event::Catalog(_) => return Datum::Null,
    };
    match (place, event) {
        (0, _) => text(event.name()),
        (1, _) => Datum::Instant(event.timestamp()),
        (2, _) => Datum::Number(user_id as i64),
        (3, Event::Registration(e)) => Datum::Number(e.age.into()),
        (4, Event::Registration(e)) => text(&e.masked_email),
        (5, Event::Registration(e)) => text(&e.preferred_language),
        (3, Event::ItemView(e)) => item(&e.item_id, spare),
        (3, Event::AddedToCart(e)) => cart(&e.cart_id, spare),
        (3, Event::Checkout(e)) => cart(&e.cart_id, spare),
        (3, Event::Purchase(_)) => written(&format_args!("{BUYER}{user_id}"), spare),
        (4, Event::AddedToCart(e)) => item(&e.item_id, spare),
        (4, Event::Purchase(e)) => item(&e.movie_id, spare),
        (5, Event::Checkout(e)) => text(&e.payment_method),
        (6, Event::Purchase(e)) => Datum::Number(e.purchase_amount_cents),
        (3, Event::ItemRating(e)) => item(&e.item_id, spare),
        (4, Event::ItemRating(e)) => Datum::Number(e.rating.into()),
        _ => Datum::Null,
    }
}

fn text(text: &str) -> Datum<'_> {
    Datum::Text(text.into())
}

fn item<'e>(id: &'e ItemId, spare: &'e mut String) -> Datum<'e> {
    match id.parts() {
        Ok(number) => written(&number, spare),
        Err(id) => text(id),
    }
}

fn cart<'e>(id: &'e CartId, spare: &'e mut String) -> Datum<'e> {
    match id.parts() {
        Ok(_) => written(id, spare),
        Err(id) => text(id),
    }
}

fn written<'e>(what: &impl Display, spare: &'e mut String) -> Datum<'e> {
    spare.clear();
    // A text takes whatever is written into it.
    write!(spare, "{what}").map_or(Datum::Null, |()| text(spare))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::family::of_value;
    use crate::shop::raw::tests::{events, row};

    #[test]
    fn a_column_is_what_the_row_in_the_raw_table_has() {
        for event in events().iter().filter(|event| !matches!(event, Event::Catalog(_))) {
            let row = row(event);
            let own = &row.values[row.table.table().key_columns..];
            for (place, value) in own.iter().enumerate() {
                let name = row.table.table().columns[place + row.table.table().key_columns].name;
                let mut spare = "more than is there".to_owned();
                assert_eq!(column(event, place, &mut spare), of_value(value), "{}: {name}", event.name());
            }
            assert!(column(event, own.len(), &mut String::new()).is_null(), "{}", event.name());
        }
    }
}
