//! The fields of a request body. `serde_json::Value` is no base for a strict schema: it drops all but the last of equal
//! keys. It also takes thirty times the memory of a body that consists of small values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys of the schema.
const KNOWN: [&str; 5] = ["questionId", "submissionId", "languageId", "sourceCode", "submissionKind"];
/// How many unknown keys are kept.
const MAX_UNKNOWN: usize = 20;

/// The fields of an object. Deserializing another value is a data error (`serde_json::Error::is_data`), the only one.
#[derive(Default)]
pub(crate) struct Fields {
    /// The fields of the schema; the first of equal ones.
    values: BTreeMap<&'static str, Field>,
    /// The keys of the schema that occur more than once.
    pub(crate) duplicates: Vec<&'static str>,
    /// Other keys, each once.
    pub(crate) unknown: Vec<String>,
}

/// The value of a field, if the schema permits its type.
pub(crate) enum Field {
    Text(String),
    Number(f64),
    Other,
}

impl Fields {
    /// Returns the text of a field, if it is a text and occurs once.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).filter(|_| !self.duplicates.contains(&key))?.text()
    }

    /// Removes a field and returns it.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Field> {
        self.values.remove(key)
    }
}

impl Field {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            match KNOWN.into_iter().find(|known| *known == key) {
                Some(known) if !fields.values.contains_key(known) => {
                    fields.values.insert(known, map.next_value()?);
                    continue;
                }
                Some(known) if !fields.duplicates.contains(&known) => fields.duplicates.push(known),
                None if fields.unknown.len() < MAX_UNKNOWN && !fields.unknown.contains(&key) => {
                    fields.unknown.push(key);
                }
                _ => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(fields)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(text))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Field, E> {
        Ok(Field::Number(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "larger numbers than u32 are invalid, exact or not")]
    fn visit_u64<E>(self, number: u64) -> Result<Field, E> {
        Ok(Field::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "negative numbers are invalid, exact or not")]
    fn visit_i64<E>(self, number: i64) -> Result<Field, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Field::Other)
    }
}
