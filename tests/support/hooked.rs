use dataflows::Instant;
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Value};
use deltamart::sink::purge::{Purge, Purged};
use deltamart::sink::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored, Warehouse};
use std::path::Path;
use std::time::Duration;

/// What a sink is asked.
#[derive(Clone, Copy)]
pub enum Call<'a> {
    Position,
    Claim,
    Apply(&'a Claim, &'a Commit),
    Purge,
    Scrub,
}

type Hook = Box<dyn FnMut(Call<'_>) -> Result<(), SinkError> + Send>;
type Purging = Box<dyn FnMut(&Purge) -> Result<Purged, SinkError> + Send>;

/// A sink that looks on at what another one is asked. Its hooks are called before and after each call; an error of a
/// hook is the answer.
pub struct Hooked {
    sink: Box<dyn Warehouse>,
    before: Hook,
    after: Hook,
    purging: Option<Purging>,
}

impl Hooked {
    /// With a hook that is called before the sink is. If it fails, the sink is not called.
    pub fn before(
        sink: Box<dyn Warehouse>,
        hook: impl FnMut(Call<'_>) -> Result<(), SinkError> + Send + 'static,
    ) -> Hooked {
        Hooked { sink, before: Box::new(hook), after: Box::new(|_| Ok(())), purging: None }
    }

    /// And one that is called after the sink has done it. If it fails, nobody learns that it was done.
    pub fn after(self, hook: impl FnMut(Call<'_>) -> Result<(), SinkError> + Send + 'static) -> Hooked {
        Hooked { after: Box::new(hook), ..self }
    }

    /// Answers a purge in place of the sink, which keeps everything.
    pub fn purging(self, purging: impl FnMut(&Purge) -> Result<Purged, SinkError> + Send + 'static) -> Hooked {
        Hooked { purging: Some(Box::new(purging)), ..self }
    }

    fn call<T>(
        &mut self,
        call: Call<'_>,
        ask: impl FnOnce(&mut dyn Warehouse) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        (self.before)(call)?;
        let answer = ask(&mut *self.sink)?;
        (self.after)(call)?;
        Ok(answer)
    }
}

impl Sink for Hooked {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        self.call(Call::Position, |sink| sink.position())
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.call(Call::Claim, |sink| sink.claim(made_by, wanted))
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        self.call(Call::Apply(claim, commit), |sink| sink.apply(claim, commit))
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        let mut purging = self.purging.take();
        let answer = self.call(Call::Purge, |sink| match &mut purging {
            Some(purging) => purging(purge),
            None => sink.purge(claim, purge),
        });
        self.purging = purging;
        answer
    }

    fn commit_interval(&self) -> Option<Duration> {
        self.sink.commit_interval()
    }

    fn takes_records(&self) -> bool {
        self.sink.takes_records()
    }

    fn takes_clean(&self) -> bool {
        self.sink.takes_clean()
    }

    fn name(&self) -> String {
        self.sink.name()
    }
}

impl Stored for Hooked {
    fn catalogue(&self) -> Catalogue {
        self.sink.catalogue()
    }

    fn page(&mut self, table: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        self.sink.page(table, after, limit)
    }

    fn sqlite_file(&self) -> Option<&Path> {
        self.sink.sqlite_file()
    }

    fn whole_since(&mut self, table: TableId) -> Result<Option<Instant>, SinkError> {
        self.sink.whole_since(table)
    }

    fn lacks_somebody(&mut self) -> Result<bool, SinkError> {
        self.sink.lacks_somebody()
    }

    fn make_anew(&mut self, table: TableId) {
        self.sink.make_anew(table);
    }

    fn makes_anew(&self) -> bool {
        self.sink.makes_anew()
    }

    fn has_another_shape(&mut self, table: TableId) -> Result<bool, SinkError> {
        self.sink.has_another_shape(table)
    }

    fn scrub(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        self.call(Call::Scrub, |sink| sink.scrub(claim, was))
    }
}
