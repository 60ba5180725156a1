//! Fields that several events have.

use super::Rules;
use crate::item::ItemId;
use crate::wire::number::{NotRead, whole};
use crate::wire::scalar::Scalar;
use crate::wire::{Broken, Fields, Kind, Reason, Wire, mask, nearest};

/// Why a user is none.
pub const USER_ID_OUT_OF_RANGE: Reason =
    Reason::of_rules("user_id_out_of_range", "A `user_id` is outside the limits (setting `rules.user_id`).");
/// Why a cart is none.
pub const BAD_CART_ID: Reason = Reason::of_family("bad_cart_id", "A `cart_id` is not a UUID.");
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

/// Longer ids are rejected: a catalog numbers its items.
const ITEM_ID_BYTES_MAX: usize = 256;

/// Who.
pub(super) fn user_id(fields: &mut Fields<'_>) -> impl Fn(&Wire<'_, '_>, &Rules) -> Result<u64, Broken> + use<> {
    let slot = fields.person("user_id");
    move |wire, rules| wire.number(slot, rules.user_id, USER_ID_OUT_OF_RANGE)
}

/// Which cart.
pub(super) fn cart_id(fields: &mut Fields<'_>) -> impl Fn(&Wire<'_, '_>) -> Result<u128, Broken> + use<> {
    let slot = fields.field("cart_id", Kind::Plain);
    move |wire| wire.uuid(slot, BAD_CART_ID)
}

/// That a text is none of those that are known; which of them was meant, if one is near.
pub(super) fn unknown(field: &str, found: &str, expected: &str, known: &[String], reason: Reason) -> Broken {
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
        match text.trim() {
            "" => {
                let detail = format!("`{name}` is empty, or white space; expected the id of an item, such as \"12\"");
                Err(Broken::rule(BAD_ITEM_ID, detail))
            }
            id if id.len() > ITEM_ID_BYTES_MAX => {
                let detail = format!("`{name}` has {} bytes; expected 1 to {ITEM_ID_BYTES_MAX}", id.len());
                Err(Broken::rule(BAD_ITEM_ID, detail))
            }
            // Masked, two items might become one.
            id if mask::text(id).is_some() => {
                let detail = format!(
                    "`{name}` holds an e-mail address, which is never stored; expected the id of an item, such as \"12\""
                );
                Err(Broken::rule(ADDRESS_IN_KEY, detail))
            }
            id => Ok(ItemId::from(id)),
        }
    }
}
