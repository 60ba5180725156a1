// Windows of several kinds in one table: they overlap, so that one kind is shown at a time.

/// The column that says of which kind a window is.
export const KIND = "window_type";
/// Those that follow one another come first.
const USUAL = ["tumbling", "daily"];

/// The kind that is shown if nobody chose one; null if there is none.
export const usual = (names) => USUAL.find((name) => names.includes(name)) ?? names[0] ?? null;
