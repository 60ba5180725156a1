//! The laws of declared metrics, each of which a test breaks to see that the random comparison notices.
//!
//! In the program nothing is ever broken: what asks is a constant there, and costs nothing.

macro_rules! laws {
    ($($(#[$doc:meta])+ $law:ident,)+) => {
        /// A law of how metrics are computed; what is wrong when it is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Law {
            $($(#[$doc])+ $law,)+
        }

        /// All of them.
        #[cfg(test)]
        pub(crate) const ALL: &[Law] = &[$(Law::$law),+];
    };
}

laws! {
    /// An event that WHERE leaves out is counted.
    WhereIsAsked,
    /// An event that FILTER leaves out is counted.
    FilterIsAsked,
    /// Of conditions joined by AND only the first is asked.
    EachConditionIsAsked,
    /// Of values in a list only the first is looked up.
    EachValueIsLookedUp,
    /// `count(x)` counts null.
    CountLeavesNullOut,
    /// `count(DISTINCT x)` counts null as a value.
    DistinctLeavesNullOut,
    /// The sum of nulls is 0.
    SumOfNothingIsNull,
    /// A sum beyond 64 bits is cut.
    SumIsOf128Bits,
    /// `min` and `max` take null for 0.
    ExtremeLeavesNullOut,
    /// `min` is `max`, and the other way round.
    ExtremeHasItsEdge,
    /// Of events with the same time the first to come counts.
    TiesAreByValue,
    /// An event without a value counts for `min_by`.
    FirstHasAllValues,
    /// Counts of two workers are not added.
    CountsAreMerged,
    /// Values of two workers are not joined.
    ValuesAreMerged,
    /// A half is rounded to zero.
    HalvesGoAway,
    /// What is below zero is rounded up.
    RoundingMindsTheSign,
    /// A number that overflows is cut.
    OverflowIsNull,
    /// What is compared with null is false.
    ComparedWithNullIsNull,
    /// In AND and OR null is no value of its own.
    LogicHasThreeValues,
    /// What is left of a number below zero is above zero.
    RemainderHasTheSign,
    /// Windows before 1970 are cut to the other side.
    WindowsBefore1970,
    /// A week begins on Thursday.
    WeeksBeginOnMonday,
    /// `LIKE` ignores case.
    LikeMindsCase,
    /// `length` counts bytes.
    LettersAreCounted,
    /// `CASE` takes a condition that is null.
    CaseWantsTrue,
    /// `coalesce` takes its first argument.
    CoalesceLeavesNullOut,
    /// `nullif` is its first argument.
    NullIfCompares,
    /// Null is in no list, instead of null.
    NullInListIsNull,
    /// `IS DISTINCT FROM` tells null from null.
    NullIsNotDistinct,
    /// A row is not said again when it becomes final.
    FinalIsSaid,
    /// A row is final when the watermark has passed its window, without lateness.
    FinalWaitsForLateness,
    /// Of several windows the last one counts.
    EarliestWindowCounts,
    /// HAVING is not asked.
    HavingIsAsked,
    /// A group leaves when the watermark has passed it, without lateness.
    GroupsWaitForLateness,
    /// A group never leaves.
    GroupsLeave,
    /// What was restored is said again.
    OddEpochsAreSilent,
    /// A row that did not change is written.
    OnlyChangesAreSaid,
    /// A group is kept by any worker.
    AGroupIsInOnePlace,
    /// An event that is repeated in a later epoch counts again.
    RepeatedCountOnce,
    /// What is known again leaves an hour early.
    PanesStayWhole,
    /// A step of a funnel counts wherever the step before it was.
    StepsFollowEachOther,
    /// Events that lie as far apart as a session's gap are in one session.
    GapsEndSessions,
    /// Two sessions between which an event comes stay two.
    SessionsJoin,
    /// A session that begins earlier than it did keeps its row under the old key too.
    SessionsMove,
    /// A session leaves when its first event has passed, and not its last.
    SessionsEndWithTheirLast,
    /// A value of a row that went is still there.
    RowsGo,
    /// A row of which nothing is left stays.
    EmptyGroupsGo,
    /// What is computed of rows leaves when events have passed, while rows may still change.
    ReadersWait,
    /// An event that answers one that came before it is not noticed.
    AnswersComeLater,
    /// An event answers that is as far away as none may be.
    AnswersEnd,
    /// An event that is looked for leaves when the watermark has passed it, without lateness.
    AnswersStay,
    /// An event that asks leaves when the watermark has passed what would answer, without lateness.
    AskersStay,
    /// Events that ask, or answer, never leave.
    AskersLeave,
    /// What is computed of answers leaves when events have passed, while answers may still change.
    AskedGroupsWait,
    /// That the watermark has passed an event is not said.
    PassingIsNews,
}

#[cfg(not(test))]
pub(crate) const fn is_broken(_: Law) -> bool {
    false
}

#[cfg(test)]
pub(crate) use tests::{breaking, is_broken, now};

#[cfg(test)]
mod tests {
    use super::Law;
    use std::cell::Cell;

    thread_local!(static BROKEN: Cell<Option<Law>> = const { Cell::new(None) });

    pub(crate) fn is_broken(law: Law) -> bool {
        now() == Some(law)
    }

    /// The law that this thread breaks. Whoever starts workers tells them.
    pub(crate) fn now() -> Option<Law> {
        BROKEN.get()
    }

    /// Does something, with a law broken on this thread.
    pub(crate) fn breaking<R>(law: Option<Law>, what: impl FnOnce() -> R) -> R {
        let before = BROKEN.replace(law);
        let result = what();
        BROKEN.set(before);
        result
    }
}
