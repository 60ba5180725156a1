{{ config(enabled=var('deltamart_family_store_events', true)) }}
-- The rates are the pipeline's, and no visit is in no day. (A customer who was forgotten has none.)
with begun as (
    select cast(date_trunc('day', started) as timestamp) as day, count(*) as visits,
        sum(case when reached >= 3 then 1 else 0 end) as purchased
    from {{ ref('dbt_deltamart', 'visits') }}
    group by 1
)
select 'a rate' as what, f.day
from {{ ref('store_funnel') }} as f
join {{ ref('dbt_deltamart', 'daily_funnel') }} as d on d.day = f.day
where coalesce(f.carted_rate, -1) <> coalesce(d.carted_rate, -1)
    or coalesce(f.purchased_rate, -1) <> coalesce(d.purchased_rate, -1)
    or coalesce(f.whole_rate, -1) <> coalesce(d.whole_rate, -1)
union all
select 'a visit', begun.day
from begun
left join {{ ref('store_funnel') }} as f on f.day = begun.day
where f.day is null or begun.visits > f.visits or begun.purchased > f.purchased
