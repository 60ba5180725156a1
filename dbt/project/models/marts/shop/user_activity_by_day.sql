with events as (
    select user_id, occurred_at, 'sign_in' as kind from {{ ref('stg_sign_ins') }} where not is_late
    union all
    select user_id, occurred_at, 'view' from {{ ref('stg_item_views') }} where not is_late
    union all
    -- The same add sent twice counts once.
    select distinct user_id, occurred_at, 'add' || cart_id || '/' || item_id from {{ ref('stg_cart_adds') }} where not is_late
    union all
    select user_id, occurred_at, 'checkout' from {{ ref('stg_checkouts') }} where not is_late
    union all
    select user_id, occurred_at, 'purchase' from {{ ref('stg_purchases') }} where not is_late
    union all
    select user_id, occurred_at, 'rating' from {{ ref('stg_ratings') }} where not is_late
)
select
    user_id,
    cast(date_trunc('day', occurred_at) as timestamp) as day,
    cast(count(*) as bigint) as events,
    cast(sum(case when kind = 'sign_in' then 1 else 0 end) as bigint) as sign_ins,
    cast(sum(case when kind = 'view' then 1 else 0 end) as bigint) as views,
    cast(sum(case when kind like 'add%' then 1 else 0 end) as bigint) as adds,
    cast(sum(case when kind = 'checkout' then 1 else 0 end) as bigint) as checkouts,
    cast(sum(case when kind = 'purchase' then 1 else 0 end) as bigint) as purchases,
    cast(sum(case when kind = 'rating' then 1 else 0 end) as bigint) as ratings
from events
where user_id >= 0
group by 1, 2
