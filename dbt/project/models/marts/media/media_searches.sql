-- A search was a success if the user played something within half an hour.
with searches as (
    select
        s.event_id,
        date_trunc('day', s.occurred_at) as day,
        lower(coalesce(s.query, '')) as query,
        s.user_id,
        max(case when p.event_id is not null then 1 else 0 end) as followed
    from {{ ref('stg_media_searches') }} as s
    left join {{ ref('stg_media_plays') }} as p
        on p.user_id = s.user_id
        and not p.is_late
        and p.occurred_at >= s.occurred_at
        and p.occurred_at < {{ dbt.dateadd('minute', 30, 's.occurred_at') }}
    where not s.is_late
    group by 1, 2, 3, 4
)
select
    cast(day as timestamp) as day,
    query,
    cast(count(*) as bigint) as searches,
    cast(count(distinct user_id) as bigint) as searchers,
    cast(sum(followed) as bigint) as followed_by_a_play,
    {{ share('sum(followed)', 'count(*)') }} as success_rate
from searches
group by 1, 2
