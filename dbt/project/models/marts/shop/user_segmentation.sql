-- The segments of `user_segments`, with thresholds of your own: the vars of dbt_project.yml. With the pipeline's they are the same.
with now as (
    select shop_watermark as moment from {{ ref('stg_commit') }}
),
seen as (
    select user_id, occurred_at, 'registration' as kind from {{ ref('stg_registrations') }} where not is_late
    union all
    select user_id, occurred_at, 'sign' from {{ ref('stg_sign_ins') }} where not is_late
    union all
    select user_id, occurred_at, 'sign' from {{ ref('stg_sign_outs') }} where not is_late
    union all
    select user_id, occurred_at, 'view' from {{ ref('stg_item_views') }} where not is_late
    union all
    select user_id, occurred_at, 'cart' from {{ ref('stg_cart_adds') }} where not is_late
    union all
    select user_id, occurred_at, 'cart' from {{ ref('stg_checkouts') }} where not is_late
    union all
    select user_id, occurred_at, 'cart' from {{ ref('stg_purchases') }} where not is_late
    union all
    select user_id, occurred_at, 'rating' from {{ ref('stg_ratings') }} where not is_late
),
users as (
    select
        seen.user_id,
        sum(case when kind = 'view' and occurred_at > {{ dbt.dateadd('day', -1 * var('frequent_within_days'), 'now.moment') }} then 1 else 0 end) as views,
        min(case when kind = 'registration' then occurred_at end) as registered_at,
        max(occurred_at) as last_seen
    from seen cross join now
    where occurred_at <= now.moment and user_id >= 0
    group by 1
),
spent as (
    select user_id, sum(purchase_amount) as spend
    from {{ ref('dbt_deltamart', 'movie_sale_lines') }} cross join now
    where sold_at <= now.moment and sold_at > {{ dbt.dateadd('day', -1 * var('high_value_within_days'), 'now.moment') }}
    group by 1
),
sold as (
    select cart_id, min(occurred_at) as sold_at from {{ ref('stg_checkouts') }} where not is_late group by 1
),
adds as (
    select
        a.cart_id, a.user_id, a.occurred_at,
        lead(a.occurred_at) over (partition by a.cart_id order by a.occurred_at, a.user_id) as next_add
    from {{ ref('stg_cart_adds') }} as a cross join now
    where not a.is_late and a.occurred_at <= now.moment
),
-- A cart stands abandoned a while after its last add, if nobody checked it out until then.
abandoned as (
    select adds.user_id, count(*) as carts
    from adds
    cross join now
    left join sold on sold.cart_id = adds.cart_id
    where adds.next_add is null
        and {{ dbt.dateadd('hour', var('abandoned_after_hours'), 'adds.occurred_at') }} <= now.moment
        and {{ dbt.dateadd('day', var('abandoned_within_days'), dbt.dateadd('hour', var('abandoned_after_hours'), 'adds.occurred_at')) }} > now.moment
        and (sold.sold_at is null or sold.sold_at > {{ dbt.dateadd('hour', var('abandoned_after_hours'), 'adds.occurred_at') }})
    group by 1
)
select
    users.user_id,
    case
        when coalesce(spent.spend, 0) >= {{ var('high_value_spend') }} then 'high_value'
        when coalesce(abandoned.carts, 0) >= {{ var('abandoned_carts') }} then 'cart_abandoner'
        when users.views >= {{ var('frequent_views') }} then 'frequent_browser'
        when users.registered_at > {{ dbt.dateadd('day', -1 * var('new_within_days'), 'now.moment') }} then 'new'
        when users.last_seen <= {{ dbt.dateadd('day', -1 * var('inactive_after_days'), 'now.moment') }} then 'inactive'
        else 'regular'
    end as segment,
    cast(coalesce(spent.spend, 0) as decimal(18,2)) as spend,
    cast(coalesce(abandoned.carts, 0) as bigint) as abandoned_carts,
    cast(users.views as bigint) as views,
    cast(users.registered_at as timestamp) as registered_at,
    cast(users.last_seen as timestamp) as last_seen
from users
cross join now
left join spent on spent.user_id = users.user_id
left join abandoned on abandoned.user_id = users.user_id
