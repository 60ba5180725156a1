//! Other ways to name a schema than the Confluent wire format: recognised, to say what to do.

/// What writes the Confluent wire format with Apicurio's serialisers.
const APICURIO: &str = "let the producers set `apicurio.registry.headers.enabled=false` and \
                        `apicurio.registry.id-handler=io.apicurio.registry.serde.Legacy4ByteIdHandler`";
const CONFLUENT: &str = "let the producers set `value.schema.id.serializer=io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer`";

/// What to say of a record whose schema a header names, if one does: headers by name and value.
pub fn named_by<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<String> {
    headers.into_iter().find_map(|(name, value)| {
        let (id, way) = match name {
            "__value_schema_id" => (guid(value), CONFLUENT),
            "apicurio.value.globalId" | "apicurio.value.contentId" => (number(value), APICURIO),
            _ => return None,
        };
        let id = id.map_or_else(String::new, |id| format!(" ({id})"));
        Some(format!("its schema is named by the header `{name}`{id}, not before the datum, which is not read: {way}"))
    })
}

fn number(value: &[u8]) -> Option<String> {
    Some(i64::from_be_bytes(value.try_into().ok()?).to_string())
}

/// One byte that says that a GUID follows, and the GUID.
fn guid(value: &[u8]) -> Option<String> {
    match value {
        [1, guid @ ..] => Some(uuid::Uuid::from_slice(guid).ok()?.to_string()),
        [0, id @ ..] => Some(u32::from_be_bytes(id.try_into().ok()?).to_string()),
        _ => None,
    }
}

/// Why nothing is known of a payload's schema.
pub(super) fn why_unknown(id: u32, payload: &[u8]) -> String {
    match payload.first_chunk::<9>() {
        Some([0, 0, 0, 0, 0, a, b, c, d]) if id == 0 => {
            let id = u32::from_be_bytes([*a, *b, *c, *d]);
            format!(
                "schema 0 is not in the registry; or this is Apicurio's way to name schema {id} in 8 bytes, which is not \
                 read: {APICURIO}"
            )
        }
        _ => format!("schema {id} is not in the registry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_named_with_its_id_and_what_to_do() {
        let named = |name: &'static str, value: &'static [u8]| named_by([("trace", &b"1"[..]), (name, value)]);
        let said = named("apicurio.value.globalId", &[0, 0, 0, 0, 0, 0, 1, 2]).expect("known");
        assert!(said.contains("`apicurio.value.globalId` (258)") && said.contains("Legacy4ByteIdHandler"), "{said}");
        let said = named("apicurio.value.contentId", b"odd").expect("known");
        assert!(said.contains("`apicurio.value.contentId`,"), "{said}");
        let said = named("__value_schema_id", &[1; 17]).expect("known");
        assert!(said.contains("01010101-0101-0101-0101-010101010101") && said.contains("PrefixSchemaId"), "{said}");
        assert_eq!(named("other", &[0; 8]), None);
        assert!(why_unknown(0, &[0, 0, 0, 0, 0, 0, 0, 0, 7, 2]).contains("schema 7 in 8 bytes"));
        assert_eq!(why_unknown(9, &[0, 0, 0, 0, 9, 0, 0, 0, 7]), "schema 9 is not in the registry");
    }
}
