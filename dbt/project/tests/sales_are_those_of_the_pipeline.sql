{{ config(enabled=var('deltamart_family_shop', true)) }}
-- The sums of a day and of a week are those of `movie_sales_metrics`.
with mine as (
    select 'daily' as unit, day as at, units, sales, unpriced_units from {{ ref('sales_by_day') }}
    union all
    select 'weekly', week, units, sales, unpriced_units from {{ ref('sales_by_week') }}
),
theirs as (
    select window_type as unit, timestamp as at, cast(sum(units_sold) as bigint) as units, cast(sum(total_sales) as decimal(18,2)) as sales,
        cast(sum(unpriced_units) as bigint) as unpriced_units
    from {{ ref('dbt_deltamart', 'movie_sales_metrics') }}
    where window_type <> 'cumulative'
    group by 1, 2
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
