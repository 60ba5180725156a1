{{ config(enabled=var('deltamart_family_customer_events', true)) }}
-- Plays of a title, summed over days.
with mine as (
    select media_id, plays from {{ ref('media_titles') }}
),
theirs as (
    select media_id, cast(sum(plays) as bigint) as plays from {{ ref('dbt_deltamart', 'content_metrics') }} group by 1
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
