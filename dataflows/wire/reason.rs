//! Why a record was rejected.

/// A reason: a stable code, as it stands in `rejected_events.reason`. Those that any event may give are declared
/// here, those of a family by its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    code: &'static str,
    meaning: &'static str,
    of_rules: bool,
}

/// Declares the reasons once: the constant, its code, and what it means.
macro_rules! reasons {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        #[allow(missing_docs, reason = "each says what it means")]
        impl Reason {
            $(pub const $name: Reason = Reason::of_family($code, $meaning);)*

            /// Those that any event may give.
            pub const KERNEL: &'static [Reason] = &[$(Reason::$name),*];
        }
    };
}

reasons! {
    BAD_MAGIC_BYTE = "bad_magic_byte", "The record does not begin with the zero byte of the Confluent wire format.";
    UNKNOWN_SCHEMA = "unknown_schema", "The registry has no schema of the number that the record names, or one that cannot be read.";
    SCHEMA_UNAVAILABLE = "schema_unavailable", "The registry delivered other schemas, and not this one, for a minute.";
    UNREADABLE = "unreadable", "Kafka cannot deliver the record, because its batch is damaged.";
    DELETED = "deleted", "Kafka deleted the record before it was read.";
    UNDECODABLE = "undecodable", "The bytes are not JSON, or do not follow their Avro schema.";
    WRONG_TYPE = "wrong_type", "A field has a value of another type, such as a list instead of a number.";
    UNKNOWN_EVENT = "unknown_event", "The `event_name` is none that this program knows.";
    MISSING_FIELD = "missing_field", "A field that the event needs is missing or null.";
    DUPLICATE_FIELD = "duplicate_field", "A field is in the record twice.";
    BAD_TIMESTAMP = "bad_timestamp", "A time cannot be read.";
    TIMESTAMP_TOO_OLD = "timestamp_too_old", "The time is before `rules.min_event_time`.";
    TIMESTAMP_IN_FUTURE = "timestamp_in_future", "The time is further in the future than `rules.max_future`.";
    TOO_LONG = "too_long", "A text has more than 64 KiB, a record more than 4 MiB, or a version of a catalog item more than 256 KiB.";
}

impl Reason {
    /// A reason of a family.
    pub const fn of_family(code: &'static str, meaning: &'static str) -> Reason {
        Reason { code, meaning, of_rules: false }
    }

    /// A reason of a family that its rules give: with other rules the same bytes are accepted.
    pub const fn of_rules(code: &'static str, meaning: &'static str) -> Reason {
        Reason { code, meaning, of_rules: true }
    }

    /// The code as it stands in `rejected_events.reason`.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// What it means, in one sentence.
    pub const fn meaning(self) -> &'static str {
        self.meaning
    }

    /// Whether a changed rule may take it back.
    pub fn is_of_rules(self) -> bool {
        self.of_rules || [Reason::TIMESTAMP_TOO_OLD, Reason::TIMESTAMP_IN_FUTURE].contains(&self)
    }

    /// Whether the same bytes might be accepted another day: then the journal remembers the rejection.
    pub fn is_of_the_world(self) -> bool {
        [Reason::UNKNOWN_SCHEMA, Reason::SCHEMA_UNAVAILABLE, Reason::UNREADABLE, Reason::DELETED].contains(&self)
    }
}

/// Why a record could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code.
    pub reason: Reason,
    /// What exactly was wrong, for people.
    pub detail: String,
    /// The schema the record names.
    pub schema_id: Option<u32>,
}

impl Rejection {
    /// A rejection of a record that names no schema.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into(), schema_id: None }
    }
}

/// What an event breaks.
#[derive(Debug)]
pub enum Broken {
    /// It does not have this field.
    Missing(&'static str),
    /// A list or an object stands in a field that has a single value. What is in it is shown by who knows how the record
    /// is written.
    Several(Reason, Several),
    /// A rule.
    Rule(Rejection),
}

/// A list or an object where a single value is expected.
#[derive(Debug)]
pub struct Several {
    /// The field.
    pub field: &'static str,
    /// Which of the two: `a list`, `an object`.
    pub what: &'static str,
    /// What is to be said behind it.
    pub expected: String,
}

impl Several {
    /// What is wrong, with what is in it as far as that is `shown`.
    pub fn explained(&self, shown: Option<&str>) -> String {
        let Several { field, what, expected } = self;
        match shown {
            Some(shown) => {
                let kind = what.rsplit(' ').next().unwrap_or_default();
                format!("`{field}` is the {kind} {shown}; {expected}")
            }
            None => format!("`{field}` is {what}; {expected}"),
        }
    }
}

impl Broken {
    /// A rule.
    pub fn rule(reason: Reason, detail: String) -> Broken {
        Broken::Rule(Rejection::new(reason, detail))
    }
}

impl From<Rejection> for Broken {
    fn from(rejection: Rejection) -> Broken {
        Broken::Rule(rejection)
    }
}
