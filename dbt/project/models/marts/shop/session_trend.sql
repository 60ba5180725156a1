-- Averages of an hour are over its minutes. `session_metrics` has a row only for a minute with news: between two of them nobody
-- is active, and the counts of before stand.
with bounds as (
    select
        min(date_trunc('hour', timestamp)) as first_minute,
        max(timestamp) as last_minute
    from {{ ref('dbt_deltamart', 'session_metrics') }}
),
minutes as (
    {{ every('minute', 'first_minute', 'last_minute', 'bounds') }}
),
filled as (
    select
        m.moment,
        coalesce(s.active_sessions_count, 0) as active,
        max(coalesce(s.completed_sessions_count, 0)) over (order by m.moment) as completed,
        max(coalesce(s.completed_duration_ms, 0)) over (order by m.moment) as duration_ms
    from minutes as m
    left join {{ ref('dbt_deltamart', 'session_metrics') }} as s on s.timestamp = m.moment
),
hours as (
    select
        date_trunc('hour', moment) as hour,
        count(*) as minutes,
        sum(active) as active_minutes,
        max(active) as most_active,
        max(completed) as completed,
        max(duration_ms) as duration_ms
    from filled
    group by 1
),
beside as (
    select
        *,
        coalesce(lag(completed) over (order by hour), 0) as completed_before,
        coalesce(lag(duration_ms) over (order by hour), 0) as duration_before
    from hours
)
select
    cast(hour as timestamp) as hour,
    cast(minutes as bigint) as minutes,
    {{ share('active_minutes', 'minutes') }} as average_active_sessions,
    cast(most_active as bigint) as most_active_sessions,
    cast(completed - completed_before as bigint) as completed_sessions,
    cast(cast(duration_ms - duration_before as decimal(18,3)) / nullif(completed - completed_before, 0) / 1000 as decimal(18,3))
        as average_duration_seconds
from beside
