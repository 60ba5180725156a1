//! Why a record was rejected.

/// A reason: a stable code, as it stands in `rejected_events.reason`. Those that any event may give are declared
/// here, those of a family by its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    code: &'static str,
    of_rules: bool,
}

/// Declares the reasons once: the constant and its code.
macro_rules! reasons {
    ($($name:ident = $code:literal;)*) => {
        #[allow(missing_docs, reason = "the codes speak for themselves and are listed in the README")]
        impl Reason {
            $(pub const $name: Reason = Reason::of_family($code);)*

            /// Those that any event may give.
            pub const KERNEL: &'static [Reason] = &[$(Reason::$name),*];
        }
    };
}

reasons! {
    BAD_MAGIC_BYTE = "bad_magic_byte";
    UNKNOWN_SCHEMA = "unknown_schema";
    SCHEMA_UNAVAILABLE = "schema_unavailable";
    UNREADABLE = "unreadable";
    DELETED = "deleted";
    UNDECODABLE = "undecodable";
    WRONG_TYPE = "wrong_type";
    UNKNOWN_EVENT = "unknown_event";
    MISSING_FIELD = "missing_field";
    DUPLICATE_FIELD = "duplicate_field";
    BAD_TIMESTAMP = "bad_timestamp";
    TIMESTAMP_TOO_OLD = "timestamp_too_old";
    TIMESTAMP_IN_FUTURE = "timestamp_in_future";
    TOO_LONG = "too_long";
}

impl Reason {
    /// A reason of a family.
    pub const fn of_family(code: &'static str) -> Reason {
        Reason { code, of_rules: false }
    }

    /// A reason of a family that its rules give: with other rules the same bytes are accepted.
    pub const fn of_rules(code: &'static str) -> Reason {
        Reason { code, of_rules: true }
    }

    /// The code as it stands in `rejected_events.reason`.
    pub const fn code(self) -> &'static str {
        self.code
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
