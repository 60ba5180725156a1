{{ config(enabled=var('deltamart_family_store_events', true)) }}
-- Computed of the visits, the funnel is `daily_funnel`.
with mine as (
    select day, visits, viewed, carted, purchased, purchased_without_cart, carted_rate, purchased_rate, whole_rate from {{ ref('store_funnel') }}
),
theirs as (
    select day, visits, viewed, carted, purchased, purchased_without_cart, carted_rate, purchased_rate, whole_rate from {{ ref('dbt_deltamart', 'daily_funnel') }}
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
