//! Fields that several events have.

use super::Rules;
use super::rules::{CartIds, WORD_BYTES_MAX, Words};
use crate::item::ItemId;
use crate::shop::cart::CartId;
use crate::shop::raw::BUYER;
use crate::wire::number::{NotRead, whole};
use crate::wire::scalar::Scalar;
use crate::wire::{Broken, Fields, Kind, Reason, Slot, Wire, mask, nearest};

/// Why a user is none.
pub const USER_ID_OUT_OF_RANGE: Reason =
    Reason::of_rules("user_id_out_of_range", "A `user_id` is outside the limits (setting `rules.user_id`).");
/// Why a cart is none.
pub const BAD_CART_ID: Reason = Reason::of_rules(
    "bad_cart_id",
    "A `cart_id` is not a UUID, or is no id at all where any text may be one (setting `rules.cart_id`).",
);
/// Why an item is none.
pub const BAD_ITEM_ID: Reason =
    Reason::of_family("bad_item_id", "The id of an item is empty or longer than 256 bytes.");
/// Why an item that might be one is not kept.
pub const ADDRESS_IN_KEY: Reason =
    Reason::of_family("address_in_key", "An id holds an e-mail address, which is never stored.");
/// Why what should be an item of `Movies.txt` is none.
pub const BAD_ITEM_BLOCK: Reason =
    Reason::of_family("bad_item_block", "A block of a catalog file has no number, or one that cannot be an id.");

/// All of these.
pub const REASONS: &[Reason] = &[USER_ID_OUT_OF_RANGE, BAD_CART_ID, BAD_ITEM_ID, ADDRESS_IN_KEY, BAD_ITEM_BLOCK];

/// Longer ids of items and carts are rejected: a catalog numbers its items.
const ID_BYTES_MAX: usize = 256;

/// Who.
pub(super) fn user_id(fields: &mut Fields<'_>) -> impl Fn(&Wire<'_, '_>, &Rules) -> Result<u64, Broken> + use<> {
    let slot = fields.person("user_id");
    move |wire, rules| wire.number(slot, rules.user_id, USER_ID_OUT_OF_RANGE)
}

/// Which cart: a UUID, or where that may be one any text without the white space around it.
pub(super) fn cart_id(fields: &mut Fields<'_>) -> impl Fn(&Wire<'_, '_>, &Rules) -> Result<CartId, Broken> + use<> {
    let slot = fields.field("cart_id", Kind::Plain);
    move |wire, rules| match rules.cart_id {
        CartIds::Uuid => wire.uuid(slot, BAD_CART_ID).map(CartId::from),
        CartIds::Text => any_cart_id(wire, slot),
    }
}

fn any_cart_id(wire: &Wire<'_, '_>, slot: Slot) -> Result<CartId, Broken> {
    let value = wire.required(slot)?;
    let text = value.text().ok_or_else(|| wire.wrong_type(slot, value, "a text, or a whole number such as 6"))?;
    let (text, name) = (text.trim(), wire.names().name(slot));
    let bad = |what: &str| {
        let expected = format!("expected the id of a cart: 1 to {ID_BYTES_MAX} bytes without the character U+0000");
        Err(Broken::rule(BAD_CART_ID, format!("`{name}` {what}; {expected}")))
    };
    // Purchases have no cart, and are called by this in its place. SQL compares without regard to case.
    let is_buyer = text.get(..BUYER.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(BUYER));
    match text {
        "" => bad("is empty, or white space"),
        id if id.len() > ID_BYTES_MAX => bad(&format!("has {} bytes", id.len())),
        id if id.contains('\0') => bad("holds the character U+0000"),
        _ if is_buyer => bad(&format!("begins with `{BUYER}`, as purchases do that have no cart")),
        id if mask::text(id).is_some() => Err(address_in_key(name, "a cart")),
        id => Ok(CartId::from(id)),
    }
}

/// Masked, two of them might become one.
fn address_in_key(name: &str, of: &str) -> Broken {
    let expected = format!("expected the id of {of}, such as \"12\"");
    Broken::rule(ADDRESS_IN_KEY, format!("`{name}` holds an e-mail address, which is never stored; {expected}"))
}

/// A text that is one of some words, or any that is short: masked then, and whether there was anything to mask. It is
/// taken out. `expected` says the words.
pub(super) fn word(
    wire: &mut Wire<'_, '_>,
    (slot, reason): (Slot, Reason),
    (words, takes_empty): (&Words, bool),
    expected: impl Fn(&[String]) -> String,
) -> Result<(String, bool), Broken> {
    let mut text = wire.text(slot)?;
    if words.takes(&text) || takes_empty && text.is_empty() {
        let masked = *words == Words::Any && mask::in_place(&mut text);
        return Ok((text, masked));
    }
    let expected = match words {
        Words::Any => format!("a text of at most {WORD_BYTES_MAX} bytes without the character U+0000"),
        Words::Of(words) => expected(words),
    };
    Err(unknown(wire.names().name(slot), &text, &expected, words.named(), reason))
}

/// That a text is none of those that are known; which of them was meant, if one is near.
fn unknown(field: &str, found: &str, expected: &str, known: &[String], reason: Reason) -> Broken {
    let found = Scalar::Text(found.into());
    let mut detail = format!("`{field}` is {found}; expected {expected}");
    let near = found.borrowed().and_then(|found| nearest(found, known.iter().map(String::as_str)));
    if let Some(near) = near {
        detail.push_str(&format!(": did you mean `{near}`?"));
    }
    Broken::rule(reason, detail)
}

/// Which item: text without the white space around it, or the digits of a whole number. `012` is not `12`: nobody can
/// tell which of the two a catalog would mean.
pub(super) fn item_id(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> impl Fn(&Wire<'_, '_>) -> Result<ItemId, Broken> + use<> {
    let slot = fields.field(name, Kind::Plain);
    move |wire| {
        let value = wire.required(slot)?;
        let is_text = matches!(value, Scalar::Text(_) | Scalar::Bytes(_));
        if let Ok(number) = if is_text { Err(NotRead::NotWhole) } else { whole(value) }
            && let Ok(number) = u64::try_from(number)
        {
            return Ok(ItemId::of(Ok(number)));
        }
        let text = value.text().ok_or_else(|| wire.wrong_type(slot, value, "a text, or a whole number such as 6"))?;
        let name = wire.names().name(slot);
        match text.trim() {
            "" => {
                let detail = format!("`{name}` is empty, or white space; expected the id of an item, such as \"12\"");
                Err(Broken::rule(BAD_ITEM_ID, detail))
            }
            id if id.len() > ID_BYTES_MAX => {
                let detail = format!("`{name}` has {} bytes; expected 1 to {ID_BYTES_MAX}", id.len());
                Err(Broken::rule(BAD_ITEM_ID, detail))
            }
            id if mask::text(id).is_some() => Err(address_in_key(name, "an item")),
            id => Ok(ItemId::from(id)),
        }
    }
}
