//! Models that come with this program, and where the files of a model are: in a folder, or in the program.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// A model that comes with the program.
#[derive(Debug)]
pub struct Shipped {
    /// What it is called: the setting `model` of this name means it, whatever folder the program is in.
    pub name: &'static str,
    /// Its files, by their names within it.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! shipped {
    ($model:literal: $($file:literal)*) => {
        Shipped {
            name: $model,
            files: &[$(($file, include_str!(concat!("../../model/", $model, "/", $file)))),*],
        }
    };
}

/// All of them.
pub const SHIPPED: &[Shipped] = &[
    shipped! { "media":
        "content_metrics.case"
        "content_metrics.sql"
        "customer_events.avsc"
        "customer_events.toml"
        "platform_metrics.case"
        "platform_metrics.sql"
        "search_metrics.case"
        "search_metrics.sql"
    },
    shipped! { "store":
        "abandoned_carts.case"
        "abandoned_carts.sql"
        "category_visits.case"
        "category_visits.sql"
        "customer_daily_metrics.case"
        "customer_daily_metrics.sql"
        "customer_lifetime_value.case"
        "customer_lifetime_value.sql"
        "daily_funnel.case"
        "daily_funnel.sql"
        "daily_revenue.case"
        "daily_revenue.sql"
        "funnel_metrics.case"
        "funnel_metrics.sql"
        "hourly_activity.case"
        "hourly_activity.sql"
        "product_sales.case"
        "product_sales.sql"
        "revenue_by_brand.case"
        "revenue_by_brand.sql"
        "revenue_by_category.case"
        "revenue_by_category.sql"
        "store_events.toml"
        "views/daily_customer_revenue.sql"
        "views/event_funnel.sql"
        "views/hourly_trends.sql"
        "views/real_time_customer_metrics.sql"
        "views/top_customers.sql"
        "views/trending_products.sql"
        "visits.case"
        "visits.sql"
    },
];

/// The one of a name.
pub fn named(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name == name)
}

/// Their names, for people.
pub fn names() -> String {
    SHIPPED.iter().map(|shipped| format!("`{}`", shipped.name)).collect::<Vec<_>>().join(" and ")
}

/// Where the files of a model are.
#[derive(Clone, Copy, Debug)]
pub enum Folder<'p> {
    /// In a folder of the machine.
    Here(&'p Path),
    /// In the program.
    Shipped(&'static Shipped),
}

impl<'p> Folder<'p> {
    /// That of the setting `model`.
    pub fn of(model: &'p Path) -> Folder<'p> {
        model.to_str().and_then(named).map_or(Folder::Here(model), Folder::Shipped)
    }

    /// Why a name may mean either: a folder of the machine has files of a model, and is called like one that is shipped.
    pub fn ambiguous(self) -> Option<String> {
        let Folder::Shipped(Shipped { name, .. }) = self else { return None };
        let here = Folder::Here(Path::new(name)).entries(Path::new(name)).unwrap_or_default();
        let is_of_model = |path: &PathBuf| path.extension().is_some_and(|is| is == "toml" || is == "sql");
        here.iter().any(is_of_model).then(|| {
            format!(
                "`{name}` is a model that comes with deltamart, and the folder `{name}` here has one too. For the folder write \
                 `./{name}`; for the one that comes with deltamart, rename the folder"
            )
        })
    }

    /// What its files' paths begin with.
    pub fn root(self) -> &'p Path {
        match self {
            Folder::Here(path) => path,
            Folder::Shipped(shipped) => Path::new(shipped.name),
        }
    }

    /// Whether it is there.
    pub fn is_there(self) -> bool {
        match self {
            Folder::Here(path) => path.is_dir(),
            Folder::Shipped(_) => true,
        }
    }

    /// The paths of what is in a folder of it, or in itself, in the order of their names.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn entries(self, of: &Path) -> Result<Vec<PathBuf>> {
        match self {
            Folder::Here(_) => {
                let entries = std::fs::read_dir(of)?.map(|entry| Ok(entry?.path()));
                let mut paths = entries.collect::<Result<Vec<_>>>()?;
                paths.sort();
                Ok(paths)
            }
            Folder::Shipped(shipped) => {
                let paths = shipped.files.iter().map(|(file, _)| self.root().join(file));
                let within = |path: PathBuf| Some(of.join(path.strip_prefix(of).ok()?.components().next()?));
                Ok(paths.filter_map(within).collect::<BTreeSet<_>>().into_iter().collect())
            }
        }
    }

    /// Whether a path of it is a folder.
    pub fn is_folder(self, path: &Path) -> bool {
        match self {
            Folder::Here(_) => path.is_dir(),
            Folder::Shipped(_) => self.shipped(path).is_none(),
        }
    }

    /// The text of a file of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn text(self, path: &Path) -> Result<Cow<'static, str>> {
        match self {
            Folder::Here(_) => std::fs::read_to_string(path).map(Cow::Owned),
            Folder::Shipped(_) => self.shipped(path).map(Cow::Borrowed).ok_or(Error::from(ErrorKind::NotFound)),
        }
    }

    fn shipped(self, path: &Path) -> Option<&'static str> {
        let Folder::Shipped(shipped) = self else { return None };
        shipped.files.iter().find(|(file, _)| self.root().join(file) == path).map(|(_, text)| *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All files of a folder, also of folders in it.
    fn all(folder: Folder<'_>, of: &Path) -> Vec<PathBuf> {
        let entries = folder.entries(of).unwrap_or_else(|error| panic!("{}: {error}", of.display()));
        let each = |path: PathBuf| if folder.is_folder(&path) { all(folder, &path) } else { vec![path] };
        entries.into_iter().flat_map(each).collect()
    }

    #[test]
    fn every_file_of_a_shipped_model_is_in_the_program() {
        for shipped in SHIPPED {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("model").join(shipped.name);
            let here = Folder::Here(&folder);
            let there = all(here, &folder);
            let from = Folder::of(Path::new(shipped.name));
            let ours = all(from, from.root());
            let within = |paths: &[PathBuf], root: &Path| -> Vec<PathBuf> {
                paths.iter().map(|path| path.strip_prefix(root).expect("within").to_owned()).collect()
            };
            assert_eq!(within(&ours, from.root()), within(&there, &folder), "{}", shipped.name);
            for (ours, there) in ours.iter().zip(&there) {
                assert_eq!(from.text(ours).expect("ours"), here.text(there).expect("theirs"), "{}", ours.display());
            }
        }
    }

    #[test]
    fn a_name_is_shipped_and_a_path_is_a_folder() {
        assert!(matches!(Folder::of(Path::new("store")), Folder::Shipped(_)));
        for path in ["./store", "model/store", "/store", "", "Store"] {
            assert!(matches!(Folder::of(Path::new(path)), Folder::Here(_)), "{path}");
        }
        let store = Folder::of(Path::new("store"));
        store.text(Path::new("store/nothing.sql")).expect_err("there is no such file");
    }
}
