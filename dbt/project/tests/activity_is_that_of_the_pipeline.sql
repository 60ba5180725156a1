{{ config(enabled=var('deltamart_family_shop', true)) }}
-- Summed over days, a user did what `user_activity` says.
with mine as (
    select user_id, cast(sum(views) as bigint) as views, cast(sum(adds) as bigint) as adds
    from {{ ref('user_activity_by_day') }}
    group by 1
    having sum(views) + sum(adds) > 0
),
theirs as (
    select user_id, views, adds from {{ ref('dbt_deltamart', 'user_activity') }}
    where views + adds > 0
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
