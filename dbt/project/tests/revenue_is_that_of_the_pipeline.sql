{{ config(enabled=var('deltamart_family_store_events', true)) }}
-- The revenue of a day, by category and by event, is `daily_revenue`.
with mine as (
    select 'category' as by_what, day, cast(sum(revenue) as decimal(18,2)) as revenue from {{ ref('store_revenue') }} group by 1, 2
    union all
    select 'event', cast(date_trunc('day', occurred_at) as timestamp), cast(sum(price) as decimal(18,2)) from {{ ref('stg_store_purchases') }} group by 1, 2
),
theirs as (
    select 'category' as by_what, day, revenue from {{ ref('dbt_deltamart', 'daily_revenue') }}
    union all
    select 'event', day, revenue from {{ ref('dbt_deltamart', 'daily_revenue') }}
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
