with named as (
    select media_id, title, row_number() over (partition by media_id order by occurred_at desc, title) as nr
    from {{ ref('stg_media_plays') }}
    where not is_late
)
select
    p.media_id,
    max(named.title) as title,
    cast(count(*) as bigint) as plays,
    cast(count(distinct p.user_id) as bigint) as viewers,
    cast(coalesce(sum(p.watch_seconds), 0) / 3600 as decimal(18,3)) as watch_hours,
    {{ share('sum(case when p.duration_seconds > 0 then p.watch_seconds end)', 'sum(case when p.watch_seconds is not null then p.duration_seconds end)') }}
        as completion_rate
from {{ ref('stg_media_plays') }} as p
left join named on named.media_id = p.media_id and named.nr = 1
where not p.is_late
group by 1
