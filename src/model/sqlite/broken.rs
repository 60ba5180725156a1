//! The rules by which SQL is printed, each of which a test breaks to see that the random comparison notices.
//!
//! In the program nothing is ever broken: what asks is a constant there, and costs nothing.

macro_rules! rules {
    ($($(#[$doc:meta])+ $rule:ident,)+) => {
        /// A rule of the printer; what is printed when it is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::model) enum Rule {
            $($(#[$doc])+ $rule,)+
        }

        /// All of them.
        #[cfg(test)]
        pub(in crate::model) const ALL: &[Rule] = &[$(Rule::$rule),+];
    };
}

rules! {
    /// Late events too.
    InTimeOnly,
    /// Repeated events each time.
    OnceIsDistinct,
    /// No WHERE.
    WhereIsAsked,
    /// No condition of rows.
    HavingIsAsked,
    /// An integer that overflowed, as the float that it became.
    OverflowIsNull,
    /// `abs()`, which ends the query at the least integer.
    LeastHasNoOpposite,
    /// A quotient that is cut.
    HalvesGoAway,
    /// A quotient above zero.
    QuotientHasASign,
    /// Null for a quotient of numbers near the edges.
    EdgesAreExact,
    /// Numbers of two scales side by side.
    ScalesAreEqual,
    /// LIKE, which ignores case.
    LikeMindsCase,
    /// Letters that mean something to GLOB.
    GlobIsEscaped,
    /// `<>`, which is null of null.
    DistinctKnowsNull,
    /// `%` of what is before 1970, which is below zero.
    WindowsBefore1970,
    /// Weeks from Thursday.
    WeeksBeginOnMonday,
    /// Months of whole seconds, cut to zero.
    MonthsBefore1970,
    /// A difference of instants by a unit.
    BoundariesAreCounted,
    /// The last of the windows.
    EarliestWindowCounts,
    /// The watermark without lateness.
    FinalWaitsForLateness,
    /// Windows that end before the cut, and not at it.
    FinalAtTheCut,
    /// Months of 30 days.
    MonthsHave31Days,
    /// `sum()` of all 64 bits, which overflows and ends the query.
    SumsAreInHalves,
    /// A sum beyond 64 bits, cut.
    SumBeyondIsNull,
    /// No FILTER.
    FilterIsAsked,
    /// `count(*)` for `count(x)`.
    CountLeavesNullOut,
    /// `count(x)` for `count(DISTINCT x)`.
    DistinctIsCounted,
    /// Any of the events that have the first instant.
    TiesAreByValue,
    /// The first for the last.
    LastIsLast,
    /// Events that do not take part before those that do.
    OthersDoNotRank,
    /// Events without a value among the first.
    FirstHasAllValues,
    /// Sessions whose events may lie a gap apart.
    GapsEndSessions,
    /// Steps of a funnel that come after the one before, and not with it.
    StepsMayCoincide,
    /// Rows that are final while what is asked of their events may change.
    AnswersMayChange,
    /// An answer that comes too late.
    AnswersEnd,
    /// Any event for one that is equal.
    AnswersAreAlike,
    /// An answer of an event that is not looked for.
    AnswersAreFiltered,
    /// The watermark at an event, and not past it.
    PassingTakesTime,
}

#[cfg(not(test))]
pub(in crate::model) const fn is_broken(_: Rule) -> bool {
    false
}

#[cfg(test)]
pub(in crate::model) use tests::{breaking, is_broken};

#[cfg(test)]
mod tests {
    use super::Rule;
    use std::cell::Cell;

    thread_local!(static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) });

    pub(in crate::model) fn is_broken(rule: Rule) -> bool {
        BROKEN.get() == Some(rule)
    }

    /// Does something, with a rule broken on this thread.
    pub(in crate::model) fn breaking<R>(rule: Rule, what: impl FnOnce() -> R) -> R {
        BROKEN.set(Some(rule));
        let result = what();
        BROKEN.set(None);
        result
    }
}
