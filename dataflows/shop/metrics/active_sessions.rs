//! Who is in the shop? One row per session that is open.
//!
//! ```sql
#![doc = include_str!("active_sessions.sql")]
//! ```

use crate::freeze;
use crate::operators::finality;
use crate::shop::Shop;
use crate::shop::metric::{Metric, person};
use crate::shop::operators::sessions::Session;
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, key};
use crate::time::Instant;

static DECLARED: Declared = Declared::new("active_sessions", || {
    let doc = "One row per open session. No sign-out has closed it, and it has not timed out at the watermark.";
    Table::of("active_sessions", doc, Role::Metric, fields())
});

/// The metric.
pub const ACTIVE_SESSIONS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("active_sessions.sql"), build, kept: &[] };

type Row = (u64, Instant);

fn fields() -> Vec<Field<Row>> {
    vec![
        person("user_id", "Id of the user whose session it is.", |(user_id, _): &Row| *user_id),
        key("signed_in_at", Type::Instant, "Time of the sign-in that opened the session, UTC.", |(_, at): &Row| {
            Value::Instant(*at)
        }),
    ]
}

/// The sessions without a sign-out whose timeout the watermark has not reached. That it has is news
/// of the epoch that made it so.
fn build(shop: &mut Shop<'_>) {
    let unclosed = shop.sessions().filter(|session| session.closed_at.is_none());
    let lane = &mut shop.lane;
    let timeout_ms = shop.settings.session_timeout_ms;
    let end = move |session: &Session| session.end(timeout_ms);
    let (watermarks, name) = (lane.watermarks(), "shop/active_sessions/open");
    let judged = finality(unclosed, watermarks, &lane.settings, &lane.ledger, name, |_, watermark| watermark, end);
    let rows = freeze(judged.filter(|(_, timed_out)| !timed_out))
        .map(|(Session { user_id, opened_at, .. }, _)| (user_id, opened_at));
    lane.rows(ACTIVE_SESSIONS.table, fields(), rows);
}
