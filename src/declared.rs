//! Settings say what they mean: the doc comment of a field is there at run time too.

/// A setting, as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The field's name.
    pub name: &'static str,
    /// The doc comment, as its lines stand in the code.
    pub doc: &'static str,
}

impl Field {
    /// What it means, on one line.
    pub fn meaning(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A section of settings.
pub trait Declared {
    /// Its settings, as they are declared.
    const FIELDS: &'static [Field];
}

/// Declares a struct of settings. A field without a doc comment does not compile.
macro_rules! declared {
    (
        $(#[$of:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $(#[serde $serde:tt])? $field_vis:vis $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$of])*
        $vis struct $name {
            $($(#[doc = $doc])+ $(#[serde $serde])? $field_vis $field: $ty,)*
        }

        impl $crate::declared::Declared for $name {
            const FIELDS: &'static [$crate::declared::Field] = &[
                $($crate::declared::Field { name: stringify!($field), doc: concat!($($doc, "\n"),+) },)*
            ];
        }
    };
}

pub(crate) use declared;
