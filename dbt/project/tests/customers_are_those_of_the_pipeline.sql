{{ config(enabled=var('deltamart_family_store_events', true)) }}
-- Summed over days, a customer is worth `customer_lifetime_value`.
with mine as (
    select customer_id, revenue from {{ ref('store_customers') }} where orders + refunds > 0
),
theirs as (
    select customer_id, revenue from {{ ref('dbt_deltamart', 'customer_lifetime_value') }}
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
