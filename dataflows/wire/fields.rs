//! The fields of a record, whatever it is written in. Everything is optional here, and of any type; what an event
//! needs of it, and how that is read, is its page's to say. So nothing is judged that the event does not have.

use super::bounds::{self, TEXT_BYTES_MAX, TOGETHER_BYTES_MAX};
use super::mask;
use super::names::{Kind, Names, Set, Slot, Table};
use super::number::{NotRead, whole};
use super::reason::{Broken, Reason, Several};
use super::scalar::{self, Scalar};
use super::texts::{Attributes, NotTexts, Texts, json};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// So many values need no room of their own.
const FEW: usize = 16;

/// What is said where a value is no UUID.
const EXPECTED_UUID: &str = "expected a UUID such as 3f0c2a4e-9a51-4c53-8a0e-6d1c5f6a7b01";

/// What stands in a field.
#[derive(Debug)]
enum Value<'a> {
    /// What stands for nothing.
    Null,
    Scalar(Scalar<'a>),
    Texts(Box<Texts>),
    Attributes(Box<Attributes>),
}

impl Value<'_> {
    #[inline]
    fn owns(&self) -> bool {
        match self {
            Value::Scalar(Scalar::Text(text)) => matches!(text, Cow::Owned(_)),
            Value::Scalar(Scalar::Bytes(bytes)) => matches!(bytes, Cow::Owned(_)),
            Value::Scalar(Scalar::Amount(_)) | Value::Texts(_) | Value::Attributes(_) => true,
            Value::Null
            | Value::Scalar(
                Scalar::Long(_)
                | Scalar::Int(_)
                | Scalar::Huge(_)
                | Scalar::Float(_)
                | Scalar::Double(_)
                | Scalar::Bool(_)
                | Scalar::Instant(_)
                | Scalar::Other(_),
            ) => false,
        }
    }
}

/// The fields of a record, by their slots.
#[derive(Debug)]
pub struct Wire<'n, 'a> {
    names: &'n Names,
    few: [Option<Value<'a>>; FEW],
    /// Of the slots behind those.
    many: Vec<Option<Value<'a>>>,
    /// Fields that stand there more than once.
    twice: Vec<Slot>,
    /// Something was read that is not borrowed from the record.
    owns: bool,
}

impl<'n, 'a> Wire<'n, 'a> {
    /// Of a record of which nothing was read yet.
    pub fn new(names: &'n Names) -> Wire<'n, 'a> {
        Wire { names, few: [const { None }; FEW], many: Vec::new(), twice: Vec::new(), owns: false }
    }

    /// The names of what is read.
    pub fn names(&self) -> &'n Names {
        self.names
    }

    /// Reads the fields of a set by the names that stand before them.
    pub fn by_name(&mut self, set: Set) -> ByName<'_, 'n, 'a> {
        self.make_room(set);
        ByName { wire: self, set }
    }

    /// Reads the fields of a record whose fields always stand in this order; those that have no slot are not kept.
    pub fn in_order<'w>(&'w mut self, set: Set, slots: &'w [Option<Slot>]) -> InOrder<'w, 'n, 'a> {
        self.make_room(set);
        InOrder { wire: self, slots }
    }

    /// Makes room for the fields of a set.
    pub fn make_room(&mut self, set: Set) {
        let behind = self.names.end(set).saturating_sub(FEW);
        if behind > self.many.len() {
            self.many.resize_with(behind, || None);
        }
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<&Value<'a>> {
        self.few.get(slot.0).or_else(|| self.many.get(slot.0 - FEW))?.as_ref()
    }

    #[inline]
    fn place(&mut self, slot: Slot) -> &mut Option<Value<'a>> {
        match self.few.get_mut(slot.0) {
            Some(place) => place,
            None => &mut self.many[slot.0 - FEW],
        }
    }

    /// Puts the value of a field there, which was read in another way.
    #[inline]
    pub fn put(&mut self, slot: Slot, value: Scalar<'a>) {
        if slot.0 >= FEW {
            self.make_room(self.names.set(slot));
        }
        let value = Value::Scalar(value);
        self.owns |= value.owns();
        *self.place(slot) = Some(value);
    }

    /// Nothing more is needed of it. Places that own nothing are not looked through for what is to be freed: that
    /// would take as long as to read some fields.
    #[inline]
    pub fn done(self) {
        if !self.owns && self.many.capacity() == 0 && self.twice.capacity() == 0 {
            std::mem::forget(self);
        }
    }

    /// Gives a value the meaning that its writer's schema gives it.
    pub fn mean(&mut self, slot: Slot, meaning: impl FnOnce(Scalar<'a>) -> Scalar<'a>) {
        if self.get(slot).is_none() {
            return;
        }
        self.owns = true;
        let place = self.place(slot);
        *place = match place.take() {
            Some(Value::Scalar(value)) => Some(Value::Scalar(meaning(value))),
            other => other,
        };
    }

    /// Reads the value of a field that comes next.
    #[inline]
    fn read<'de: 'a, A: MapAccess<'de>>(&mut self, slot: Slot, map: &mut A) -> Result<(), A::Error> {
        let value = match self.names.kind(slot) {
            Kind::Text | Kind::Address | Kind::Plain | Kind::Instant => {
                map.next_value::<Option<_>>()?.map(Value::Scalar)
            }
            Kind::Texts => map.next_value::<Option<_>>()?.map(Value::Texts),
            Kind::Attributes => map.next_value::<Option<_>>()?.map(Value::Attributes),
            Kind::Object(set) => map.next_value_seed(Object(self.by_name(set)))?.map(Value::Scalar),
        };
        self.stands(slot, value.unwrap_or(Value::Null));
        Ok(())
    }

    /// Keeps the value of a field as [`Wire::by_name`] does, where it was read by its name in another way: none for what
    /// stands for nothing, and for an object whose fields were read. There has to be room for its set.
    #[inline(always)]
    pub fn keep(&mut self, slot: Slot, value: Option<Scalar<'a>>) {
        self.stands(slot, value.map_or(Value::Null, Value::Scalar));
    }

    /// A value stands in a field.
    #[inline(always)]
    fn stands(&mut self, slot: Slot, value: Value<'a>) {
        self.owns |= value.owns();
        if self.place(slot).is_some() {
            self.note_twice(slot);
        }
        // Nothing is left there to be freed, which would be looked at.
        std::mem::forget(self.place(slot).replace(value));
    }

    #[cold]
    fn note_twice(&mut self, slot: Slot) {
        *self.place(slot) = None;
        if !self.twice.contains(&slot) {
            self.twice.push(slot);
        }
    }

    fn name(&self, slot: Slot) -> &'static str {
        self.names.name(slot)
    }

    /// A field that is there twice says two things, or the same; which was meant is not for us to say.
    fn once(&self, slot: Slot) -> Result<(), Broken> {
        if self.twice.contains(&slot) {
            let field = self.name(slot);
            let detail = format!("`{field}` is there twice; which of the two counts cannot be told: write it once");
            return Err(Broken::rule(Reason::DUPLICATE_FIELD, detail));
        }
        Ok(())
    }

    /// That no field of a set is there twice.
    pub(super) fn each_once(&self, set: Set) -> Result<(), Broken> {
        self.twice.iter().filter(|slot| self.names.set(**slot) == set).try_for_each(|slot| self.once(*slot))
    }

    /// The value of a field, if it is there.
    ///
    /// # Errors
    /// If it is there twice, or is too long.
    #[inline(always)]
    pub fn value(&self, slot: Slot) -> Result<Option<&Scalar<'a>>, Broken> {
        if !self.twice.is_empty() {
            // Of what is there twice the last may be null.
            self.once(slot)?;
        }
        let Some(Value::Scalar(value)) = self.get(slot) else { return Ok(None) };
        if value.text_bytes() > TEXT_BYTES_MAX {
            bounds::of_text(self.name(slot), value.text_bytes())?;
        }
        Ok(Some(value))
    }

    /// The value of a field that has to be there.
    ///
    /// # Errors
    /// If it is not, is there twice, or is too long.
    #[inline(always)]
    pub fn required(&self, slot: Slot) -> Result<&Scalar<'a>, Broken> {
        match self.value(slot)? {
            Some(value) => Ok(value),
            None => Err(self.missing(slot)),
        }
    }

    #[cold]
    fn missing(&self, slot: Slot) -> Broken {
        Broken::Missing(self.name(slot))
    }

    /// That a value is of a type that this field does not have.
    pub fn wrong_type(&self, slot: Slot, value: &Scalar<'_>, expected: &str) -> Broken {
        self.broken(slot, Reason::WRONG_TYPE, value, &format!("expected {expected}"))
    }

    /// That a value breaks a rule.
    pub fn broken(&self, slot: Slot, reason: Reason, value: &Scalar<'_>, expected: &str) -> Broken {
        let field = self.name(slot);
        match value {
            // What is in a field of addresses is not for others to see, however it is parted.
            Scalar::Other(what) if scalar::is_several(what) && self.names.kind(slot) != Kind::Address => {
                Broken::Several(reason, Several { field, what, expected: expected.to_owned() })
            }
            Scalar::Text(_)
            | Scalar::Long(_)
            | Scalar::Int(_)
            | Scalar::Huge(_)
            | Scalar::Float(_)
            | Scalar::Double(_)
            | Scalar::Bool(_)
            | Scalar::Bytes(_)
            | Scalar::Instant(_)
            | Scalar::Amount(_)
            | Scalar::Other(_) => Broken::rule(reason, format!("`{field}` is {value}; {expected}")),
        }
    }

    /// A text that has to be there. It is taken out.
    ///
    /// # Errors
    /// If there is none.
    pub fn text(&mut self, slot: Slot) -> Result<String, Broken> {
        self.required(slot)?;
        let Some(Value::Scalar(value)) = self.place(slot).take() else { return Err(Broken::Missing(self.name(slot))) };
        if let Scalar::Text(text) = value {
            return Ok(text.into_owned());
        }
        value.text().map(Cow::into_owned).ok_or_else(|| self.wrong_type(slot, &value, "a text"))
    }

    /// An e-mail address that has to be there, masked, and whether it came in clear. It is taken out.
    ///
    /// # Errors
    /// If there is no text.
    pub fn address(&mut self, slot: Slot) -> Result<(String, bool), Broken> {
        Ok(mask::field(self.text(slot)?.into()))
    }

    /// A whole number from the first to the second.
    ///
    /// # Errors
    /// If it is none, or out of this range: for this reason.
    pub fn number(&self, slot: Slot, (least, most): (u64, u64), out_of_range: Reason) -> Result<u64, Broken> {
        let value = self.required(slot)?;
        let out_of_range = || self.broken(slot, out_of_range, value, &format!("expected {least} to {most}"));
        match whole(value) {
            Ok(number) => {
                u64::try_from(number).ok().filter(|number| (least..=most).contains(number)).ok_or_else(out_of_range)
            }
            Err(NotRead::Beyond) => Err(out_of_range()),
            Err(NotRead::NotWhole) => {
                let such_as = 6.clamp(least, most);
                Err(self.wrong_type(slot, value, &format!("a whole number such as {such_as}")))
            }
            Err(NotRead::Imprecise) => {
                let expected = "its digits as text, or without point and exponent: so large a number with these stands for \
                                its neighbours too";
                Err(self.wrong_type(slot, value, expected))
            }
        }
    }

    /// A UUID.
    ///
    /// # Errors
    /// If it is none: for this reason.
    pub fn uuid(&self, slot: Slot, is_none: Reason) -> Result<u128, Broken> {
        let value = self.required(slot)?;
        let id = value.text().and_then(|text| uuid::Uuid::try_parse(text.trim()).ok());
        id.map(|id| id.as_u128()).ok_or_else(|| self.broken(slot, is_none, value, EXPECTED_UUID))
    }

    /// The value of a field, whatever it is and however long. It is taken out.
    pub fn take(&mut self, slot: Slot) -> Option<Scalar<'a>> {
        match self.place(slot).take()? {
            Value::Scalar(value) => Some(value),
            Value::Null | Value::Texts(_) | Value::Attributes(_) => None,
        }
    }

    /// Text, or a number as it is written: a title may be one. However long; it is taken out.
    ///
    /// # Errors
    /// If there is something else.
    pub fn written(&mut self, slot: Slot) -> Result<Option<String>, Broken> {
        let Some(value) = self.take(slot) else { return Ok(None) };
        match value {
            Scalar::Text(text) => Ok(Some(text.into_owned())),
            Scalar::Double(number) => Ok(Some(number.to_string())),
            Scalar::Float(number) => Ok(Some(number.to_string())),
            Scalar::Long(_)
            | Scalar::Int(_)
            | Scalar::Huge(_)
            | Scalar::Bool(_)
            | Scalar::Bytes(_)
            | Scalar::Instant(_)
            | Scalar::Amount(_)
            | Scalar::Other(_) => {
                value.text().map(|text| Some(text.into_owned())).ok_or_else(|| self.wrong_type(slot, &value, "a text"))
            }
        }
    }

    /// A list of texts as canonical JSON; an empty one if there is none. It is taken out.
    ///
    /// # Errors
    /// If there is something else, or too much.
    pub fn texts(&mut self, slot: Slot) -> Result<String, Broken> {
        match self.place(slot).take() {
            Some(Value::Texts(texts)) => {
                texts.0.map(|texts| json(&texts)).map_err(|why| self.not_texts(slot, why, "a list of texts"))
            }
            _ => Ok(json(&[""; 0])),
        }
    }

    /// Lists of texts by their names as canonical JSON; none if there are none. They are taken out.
    ///
    /// # Errors
    /// If there is something else, or too much.
    pub fn attributes(&mut self, slot: Slot) -> Result<String, Broken> {
        match self.place(slot).take() {
            Some(Value::Attributes(attributes)) => {
                let expected = "an object of lists of texts";
                attributes.0.map(|attributes| json(&attributes)).map_err(|why| self.not_texts(slot, why, expected))
            }
            _ => Ok(json(&BTreeMap::<String, Vec<String>>::new())),
        }
    }

    fn not_texts(&self, slot: Slot, why: NotTexts, expected: &str) -> Broken {
        let field = self.name(slot);
        let too_long = |what: &str, bytes: usize, most| Broken::Rule(bounds::too_long(what, bytes as u64, most));
        match why {
            NotTexts::Other(what) => {
                Broken::rule(Reason::WRONG_TYPE, format!("`{field}` is {what}; expected {expected}"))
            }
            NotTexts::LongText(bytes) => too_long(&format!("a text in `{field}`"), bytes, TEXT_BYTES_MAX),
            NotTexts::Long(bytes) => too_long(&format!("`{field}`"), bytes, TOGETHER_BYTES_MAX),
        }
    }
}

/// Reads fields by their names.
#[derive(Debug)]
pub struct ByName<'w, 'n, 'a> {
    wire: &'w mut Wire<'n, 'a>,
    set: Set,
}

/// Reads fields by their order.
#[derive(Debug)]
pub struct InOrder<'w, 'n, 'a> {
    wire: &'w mut Wire<'n, 'a>,
    slots: &'w [Option<Slot>],
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for ByName<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for ByName<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let names = self.wire.names.table(self.set);
        while let Some(slot) = map.next_key_seed(Key(names))? {
            match slot {
                Some(slot) => self.wire.read(slot, &mut map)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for InOrder<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for InOrder<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut slots = self.slots.iter();
        while map.next_key::<IgnoredAny>()?.is_some() {
            match slots.next() {
                Some(Some(slot)) => self.wire.read(*slot, &mut map)?,
                Some(None) | None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the fields of an object; what is no object is given back.
struct Object<'w, 'n, 'a>(ByName<'w, 'n, 'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Object<'_, '_, 'a> {
    type Value = Option<Scalar<'a>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Object<'_, '_, 'a> {
    type Value = Option<Scalar<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.0.visit_map(map).map(|()| None)
    }
    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Self::Value, D::Error> {
        some.deserialize_any(self)
    }
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Bool(value)))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Long(number)))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(i64::try_from(number).map_or(Scalar::Huge(number), Scalar::Long)))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Double(number)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(text.to_owned().into())))
    }
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Bytes(bytes.to_owned().into())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Scalar::Other("a list")))
    }
}

/// The name of a field: its slot, if it is read.
#[derive(Clone, Copy)]
struct Key<'n>(&'n Table);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<Slot>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Slot>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<Slot>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }
    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<Option<Slot>, E> {
        Ok(self.0.find(name).map(Slot))
    }
}
