//! The name that was probably meant.

/// More of a name than this is not compared.
const COMPARED_CHARS: usize = 200;

/// The name that is nearest to what was typed, if one is near: of a few other letters, or one that goes on as it begins.
pub(super) fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let typed: String = typed.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect();
    let letters = typed.chars().count();
    let near = (letters / 3).max(1);
    let distance = |name: &'n str| {
        let lower = name.to_lowercase();
        let distance = strsim::osa_distance(&typed, &lower);
        let goes_on = letters >= 3 && lower.starts_with(&typed);
        (distance < letters && (distance <= near || goes_on)).then_some((distance, name))
    };
    names.into_iter().filter_map(distance).min().map(|(_, name)| name)
}

/// `; did you mean ..?`, or nothing.
pub(super) fn meant<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(typed, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_found_and_no_far_one() {
        let names = ["users", "user_segments", "user_activity", "movie_sales_metrics", "views"];
        for (typed, expected) in [
            ("user_segment", Some("user_segments")),
            ("USERS", Some("users")),
            ("usres", Some("users")),
            ("view", Some("views")),
            ("movie_sales", Some("movie_sales_metrics")),
            ("nothing", None),
            ("", None),
            ("x", None),
            ("猫", None),
        ] {
            assert_eq!(nearest(typed, names), expected, "{typed}");
        }
        assert_eq!(nearest(&"u".repeat(1 << 20), names), None);
    }
}
