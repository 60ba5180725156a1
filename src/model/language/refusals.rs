//! What SQL has and the language of metrics does not: each with its reason and its way out, in one table.

use super::super::messages::{Mistake, Span};

/// Something that a metric cannot have.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is called, where the text does not say it better.
    pub name: &'static str,
    /// Why.
    pub why: &'static str,
    /// What to do instead.
    pub instead: &'static str,
}

impl Refusal {
    /// As a mistake of a place, under the name that it has there.
    pub fn at(&self, span: Span, name: Option<&str>) -> Mistake {
        let name = match name {
            Some(name) if !self.name.contains(' ') || self.name.starts_with('`') => format!("`{name}`"),
            Some(_) | None => self.name.to_owned(),
        };
        let what = format!("{name} is not something a metric can have: {}.", self.why);
        Mistake::of_language(span, what, self.instead)
    }
}

macro_rules! refusals {
    ($($id:ident = $name:literal, $why:literal, $instead:literal;)*) => {
        $(pub(super) const $id: Refusal = Refusal { name: $name, why: $why, instead: $instead };)*

        /// All of them.
        pub const ALL: &[(&str, Refusal)] = &[$((stringify!($id), $id)),*];
    };
}

refusals! {
    // What a text is.
    STATEMENT = "`statement`", "it is one SELECT over the events of one family", "Write `SELECT ... FROM family GROUP BY ...`.";
    STATEMENTS = "a second statement", "a file holds one metric", "Make another file of it.";
    BRACKETS = "a SELECT in brackets", "it is one SELECT", "Leave the brackets out.";
    FROM_FIRST = "FROM before SELECT", "its columns come first, as they stand in its table", "Write `SELECT ... FROM family ...`.";

    // Clauses.
    WITH = "`WITH`", "it reads the events of one family, and nothing in between", "Say it in the expressions; a WHERE chooses events.";
    UNION = "`UNION`", "an idle family would hold back the rows of the other", "Make one family of both topics, with a column that tells them apart.";
    ORDER_BY = "`ORDER BY`", "a table has no order", "Order where the table is read.";
    LIMIT = "`LIMIT`", "one late event would move other rows in and out", "Keep all rows and limit in a view over them.";
    DISTINCT = "`DISTINCT`", "its rows differ by their key anyway", "GROUP BY what is to differ; `count(DISTINCT x)` counts.";
    STAR = "`*`", "its columns are those of its table and must not change with the family's", "Name each column.";
    CLAUSE = "`clause`", "it is made of SELECT, FROM, WHERE, GROUP BY and HAVING", "Leave it out.";
    WINDOW = "`WINDOW`", "one late event would move other rows", "Keep the rows and compare them in a view over them.";
    QUALIFY = "`QUALIFY`", "one late event would move other rows", "Keep the rows and choose in a view over them.";
    NO_FROM = "a SELECT without FROM", "it is computed of the events of a family", "Write `FROM family`.";
    JOIN = "`JOIN`", "a row that arrives later on either side would change rows that have left memory", "Keep ids, and add names in a view over the metric.";
    QUALIFIED_TABLE = "a name of several parts", "it reads a family by its name", "Write the family's name alone.";
    TABLE_ALIAS = "other names for columns", "they are called as the family's file has it", "Leave them out.";
    TABLE_FUNCTION = "a table made by a function", "it reads the events of a family", "Write `FROM family`.";
    SAMPLE = "`SAMPLE`", "which events are drawn is not a function of the events", "Choose events by a WHERE, such as `id % 100 = 0`.";
    TABLE = "anything behind the family's name", "it reads the family's events as they are", "Leave it out.";
    FROM_SUBQUERY = "a subquery in FROM", "it reads the events of one family, and nothing in between", "Say it in the expressions; a WHERE chooses events.";
    PIVOT = "`PIVOT`", "its columns are fixed", "Write one `count(*) FILTER (WHERE ...)` for each column.";
    MATCH_RECOGNIZE = "`MATCH_RECOGNIZE`", "one late event could change every match after it", "Count what happened with FILTER, by session or day.";
    ALIASES = "several names for one column", "a column has one", "Keep one of them.";
    GROUP_BY_ALL = "`GROUP BY ALL`", "the key of its table is said, not guessed", "Name the columns that are the key.";
    GROUPING_SETS = "`ROLLUP`, `CUBE` or GROUPING SETS", "its keys are never null", "Make a metric for each set.";
    GROUP_EXPRESSION = "an expression in GROUP BY", "a key is a column of the table and has its name", "Give it a name in SELECT, and group by that.";
    NO_GROUP_BY = "a SELECT without GROUP BY", "a row needs a key", "Group by what a row is of: a day, a customer.";

    // Values.
    FLOAT = "a number with an exponent", "there are no floats, whose sums depend on their order", "Write its digits: `0.25`.";
    STRING = "this writing of a text", "databases read it differently", "Write it in single quotes; a quote in it is doubled.";
    DOUBLE_QUOTED = "a text in double quotes", "double quotes are for names, and no column has this one", "Write it in single quotes.";
    PARAMETER = "a parameter", "it is a function of the events alone", "Write the value.";
    TYPED_STRING = "this type before a text", "there are instants, and no other types of time", "Write `TIMESTAMP '2019-10-01 00:00:00'`, which is UTC.";
    INTERVAL = "this interval", "one has a fixed length, from milliseconds to weeks", "Write `interval '36 hours'`; months are windows: `date_trunc('month', t)`.";
    LIST = "a list, a record or a map", "a column holds one value", "Name its fields as columns of the family.";
    JSON = "a path into JSON", "paths are columns of the family", "Write the path as the column's `from` in the family's file.";
    QUALIFIED = "this name of several parts", "nothing else is read that has columns", "Write the column's name alone, or behind what FROM calls the family.";

    // Operators.
    CAST = "a cast", "databases read numbers in texts differently", "Declare the column with the type that you need; `round(x, n)` makes fewer decimals.";
    IS_TRUE = "`IS TRUE`", "conditions are true or false already", "Write the condition, or NOT before it.";
    CHAINED = "a comparison within a comparison", "databases group them differently", "Put brackets around the inner one.";
    ILIKE = "`ILIKE`", "databases fold letters differently", "Write LIKE, and `case = \"lower\"` at the column in the family's file.";
    REGEX = "a regular expression", "each database has its own", "Write LIKE, or `one_of` at the column in the family's file.";
    LIKE_ESCAPE = "`ESCAPE`", "a pattern has `%` and `_` alone", "Compare with `=` or `substr(x, n, m)`.";
    LIKE_PATTERN = "a pattern that is not a text", "it is a text in quotes", "Write `LIKE 'abc%'`.";
    ANY = "`ANY` or `ALL` of a list", "a condition is of one event", "Write `x IN ('a', 'b')`.";
    IN_LIST = "this list behind IN", "it holds values: numbers, texts, instants", "Write `x IN ('a', 'b')`, or compare with OR.";
    BITS = "an operator on bits", "numbers are counts and sums here", "Declare what the bits mean as columns of the family.";
    INTEGER_DIVISION = "`//`", "databases round it differently", "Write `round(a / b, 0)`.";
    OPERATOR = "this operator", "databases read it differently", "Write it with `+ - * %`, comparisons, AND, OR and NOT.";
    COLLATE = "`COLLATE`", "texts are ordered by their bytes, everywhere", "Leave it out.";
    TIME_ZONE = "`AT TIME ZONE`", "days are days in UTC", "Leave it out.";
    SUBQUERY = "a subquery", "it is computed of one event after the other", "Say it in the expressions; a WHERE chooses events.";
    EXISTS = "this EXISTS", "it looks for an event of the same family, near in time", "Write `EXISTS (SELECT 1 FROM family b WHERE b.x = a.x AND b.t >= a.t AND b.t < a.t + interval '30 minutes')`.";
    EXISTS_NAME = "the same name for both events", "a column would be of either", "Give what EXISTS looks for another name: `FROM family b`.";

    // Functions.
    OVER = "`OVER`", "one late event would move every row of the day", "Keep the rows and rank in a view over them.";
    WITHIN_GROUP = "`WITHIN GROUP`", "it would keep every value for as long as the group", "Count by steps: `count(*) FILTER (WHERE x < 10)`.";
    AGGREGATE_ORDER = "an order within an aggregate", "events have no order but their time", "Write `min_by(x, t)` or `max_by(x, t)`.";
    NULLS = "`IGNORE NULLS` or `RESPECT NULLS`", "null takes part in no aggregate", "Leave it out.";
    ARGUMENT = "this argument", "arguments are values, in their order", "Write them in their order.";
    NOW = "`now()`", "it is a function of the events, and not of when it is computed", "Group by a window of the event's time, and choose by the clock in a view.";
    RANDOM = "`random()`", "it is a function of the events alone", "Choose by a WHERE, such as `id % 100 = 0`.";
    DATE_PART = "`day()`", "it is a number that comes again in every month or year, and no point in time", "Did you mean `date_trunc('day', t)`?";
    CASE_FOLD = "`lower()`", "databases fold letters differently", "Write `case = \"lower\"` at the column in the family's file.";
    EXTREMES = "`greatest()`", "databases treat nulls in it differently", "Write CASE WHEN a >= b THEN a ELSE b END.";
    QUANTILE = "`median()`", "it would keep every value for as long as the group, or be a guess", "Count by steps: `count(*) FILTER (WHERE x < 10)`.";
    SPREAD = "`stddev()`", "there are no floats, whose sums depend on their order", "Keep `count(x)`, `sum(x)` and `sum(x * x)`, and compute it in a view.";
    GATHER = "`string_agg()`", "it would keep every value for as long as the group, in an order that events do not have", "Group by the value, and gather in a view.";
    FIRST = "`first()`", "events have no order but their time", "Write `min_by(x, t)`, `max_by(x, t)`, `min(x)` or `max(x)`.";
    AVERAGE = "`avg()` alone", "it is rounded once, and you say how", "Write `round(avg(x), 2)`.";
    COUNT_IF = "`count_if()`", "databases call it differently", "Write `count(*) FILTER (WHERE ...)`.";
    IF = "`if()`", "databases call it differently", "Write CASE WHEN ... THEN ... ELSE ... END, or `coalesce(x, 0)`.";
    CONCAT = "`concat()`", "databases treat nulls in it differently", "Write `a || b`.";
    SUBSTRING = "`substring()`", "databases call it differently", "Write `substr(x, 1, 3)`.";
    LENGTH = "`char_length()`", "databases call it differently", "Write `length(x)`.";
    TEXTS = "`trim()`", "databases disagree on letters", "Declare the column as you need it in the family's file.";
    FORMATTING = "`strftime()`", "databases write instants differently", "Keep the instant, and write it where the table is read.";
    FLOATING = "`sqrt()`", "there are no floats, whose sums depend on their order", "Compute it in a view over the metric.";
    ROUNDING = "`ceil()` or `floor()`", "there is one: half away from zero", "Write `round(x, 0)`.";
    MOVE_TIME = "`date_add()`", "databases call it differently", "Write `t + interval '1 hour'`.";
    TIME_BETWEEN = "`datediff()`", "databases call it differently", "Write `date_diff('second', a, b)`.";
    ROWS = "`unnest()`", "an event is in one group of a metric", "Declare a list as a family of its own.";
    LATER = "`hop()`", "there are no windows yet that overlap", "Group by `date_trunc(...)`, `time_bucket(interval '5 minutes', t)`, or `session(t, interval '30 minutes')`.";
}

/// Why a word cannot stand where the parser did not expect it.
pub(super) fn of_word(word: &str) -> Option<&'static Refusal> {
    Some(match word.to_ascii_uppercase().as_str() {
        "JOIN" | "ASOF" | "LEFT" | "RIGHT" | "INNER" | "CROSS" | "NATURAL" | "LATERAL" => &JOIN,
        "QUALIFY" => &QUALIFY,
        "WINDOW" => &WINDOW,
        "OVER" => &OVER,
        "LIMIT" | "OFFSET" | "FETCH" | "TOP" => &LIMIT,
        "ORDER" => &ORDER_BY,
        "UNION" | "EXCEPT" | "INTERSECT" => &UNION,
        "WITHIN" => &WITHIN_GROUP,
        "IGNORE" | "RESPECT" => &NULLS,
        "TABLESAMPLE" | "SAMPLE" => &SAMPLE,
        "PIVOT" | "UNPIVOT" => &PIVOT,
        "MATCH_RECOGNIZE" => &MATCH_RECOGNIZE,
        "EXCLUDE" | "REPLACE" => &STAR,
        "COLLATE" => &COLLATE,
        "ESCAPE" => &LIKE_ESCAPE,
        "SELECT" => &SUBQUERY,
        "SETTINGS" | "FORMAT" | "PREWHERE" | "INTO" | "FOR" => &CLAUSE,
        _ => return None,
    })
}

/// Why a function is not in the language, if we know it.
pub(super) fn of_function(name: &str) -> Option<&'static Refusal> {
    Some(match name {
        "now"
        | "current_timestamp"
        | "current_date"
        | "current_time"
        | "today"
        | "localtimestamp"
        | "localtime"
        | "getdate"
        | "sysdate"
        | "get_current_timestamp"
        | "transaction_timestamp"
        | "unixepoch" => &NOW,
        "random" | "rand" | "uuid" | "gen_random_uuid" | "uuid_string" | "nextval" | "seq4" => &RANDOM,
        "day" | "hour" | "minute" | "second" | "month" | "year" | "week" | "quarter" | "dayofweek" | "dayofmonth"
        | "dayofyear" | "weekday" | "weekofyear" | "isodow" | "date_part" | "datepart" | "extract" | "date" => {
            &DATE_PART
        }
        "lower" | "upper" | "lcase" | "ucase" | "initcap" => &CASE_FOLD,
        "greatest" | "least" => &EXTREMES,
        "median"
        | "quantile"
        | "quantile_cont"
        | "quantile_disc"
        | "percentile_cont"
        | "percentile_disc"
        | "mode"
        | "approx_count_distinct"
        | "approx_quantile"
        | "approx_percentile"
        | "approx_top_k"
        | "hll" => &QUANTILE,
        "stddev" | "stddev_pop" | "stddev_samp" | "variance" | "var_pop" | "var_samp" | "corr" | "covar_pop"
        | "covar_samp" | "regr_slope" | "skewness" | "kurtosis" | "entropy" => &SPREAD,
        "string_agg" | "group_concat" | "listagg" | "array_agg" | "list" | "histogram" | "object_agg"
        | "json_group_array" => &GATHER,
        "first" | "last" | "any_value" | "arbitrary" | "arg_min" | "arg_max" | "argmin" | "argmax" | "first_value"
        | "last_value" => &FIRST,
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "ntile" | "lag" | "lead" | "nth_value"
        | "cume_dist" => &OVER,
        "avg" | "mean" => &AVERAGE,
        "count_if" | "countif" => &COUNT_IF,
        "if" | "iif" | "iff" | "ifnull" | "nvl" | "nvl2" | "zeroifnull" | "decode" => &IF,
        "concat" | "concat_ws" => &CONCAT,
        "substring" | "left" | "right" | "mid" => &SUBSTRING,
        "char_length" | "character_length" | "len" | "strlen" | "octet_length" => &LENGTH,
        "trim" | "ltrim" | "rtrim" | "replace" | "translate" | "reverse" | "lpad" | "rpad" | "split_part"
        | "position" | "strpos" | "instr" | "contains" | "starts_with" | "ends_with" | "ascii" | "chr" | "md5"
        | "sha256" | "hash" | "format" | "printf" | "repeat" => &TEXTS,
        "regexp_matches" | "regexp_replace" | "regexp_extract" | "regexp_like" | "rlike" => &REGEX,
        "strftime" | "to_char" | "date_format" | "strptime" | "to_timestamp" | "to_date" | "epoch" | "epoch_ms"
        | "try_to_timestamp" | "make_timestamp" | "make_date" => &FORMATTING,
        "sqrt" | "power" | "pow" | "exp" | "ln" | "log" | "log2" | "log10" | "sin" | "cos" | "tan" | "pi" => &FLOATING,
        "ceil" | "ceiling" | "floor" | "trunc" | "truncate" | "round_even" => &ROUNDING,
        "date_add" | "dateadd" | "date_sub" | "timestampadd" => &MOVE_TIME,
        "datediff" | "timestampdiff" | "age" | "date_sub_days" => &TIME_BETWEEN,
        "cast" | "try_cast" | "to_number" | "to_decimal" | "to_varchar" | "try_to_number" => &CAST,
        "unnest" | "generate_series" | "range" | "flatten" | "explode" => &ROWS,
        "json_extract" | "json_extract_string" | "json_value" | "get_path" | "parse_json" => &JSON,
        "hop" | "tumble" | "window" => &LATER,
        _ => return None,
    })
}

/// What is quoted as a name, and is none.
pub fn of_quotes(span: Span) -> Mistake {
    DOUBLE_QUOTED.at(span, None)
}

/// An average that is not rounded.
pub fn of_average(span: Span) -> Mistake {
    AVERAGE.at(span, None)
}
