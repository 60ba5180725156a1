{{ config(enabled=var('deltamart_family_customer_events', true)) }}
-- Searches of a day and their success, summed over queries.
with mine as (
    select day, cast(sum(searches) as bigint) as searches, cast(sum(followed_by_a_play) as bigint) as followed_by_a_play
    from {{ ref('media_searches') }} group by 1
),
theirs as (
    select day, searches, followed_by_a_play from {{ ref('dbt_deltamart', 'search_metrics') }}
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
