{{ config(enabled=var('deltamart_family_shop', true)) }}
-- Days sum up to weeks, and weeks to all of time; and no line was sold that is not in a sum. (A buyer who was forgotten has none.)
with days as (
    select cast(date_trunc('week', day) as timestamp) as week, sum(units) as units, cast(sum(sales) as decimal(18,2)) as sales
    from {{ ref('sales_by_day') }}
    group by 1
),
ever as (
    select sum(units_sold) as units, cast(sum(total_sales) as decimal(18,2)) as sales
    from {{ ref('dbt_deltamart', 'movie_sales_metrics') }}
    where window_type = 'cumulative'
),
weeks as (
    select sum(units) as units, cast(sum(sales) as decimal(18,2)) as sales from {{ ref('sales_by_week') }}
),
lines as (
    select cast(date_trunc('day', sold_at) as timestamp) as day, count(*) as units
    from {{ ref('dbt_deltamart', 'movie_sale_lines') }}
    group by 1
)
select 'a week' as what, w.week as at_time
from {{ ref('sales_by_week') }} as w
left join days on days.week = w.week
where days.week is null or days.units <> w.units or days.sales <> w.sales
union all
select 'all of time', null from ever cross join weeks where ever.units <> weeks.units or ever.sales <> weeks.sales
union all
select 'a line', lines.day
from lines
left join {{ ref('sales_by_day') }} as d on d.day = lines.day
where d.day is null or lines.units > d.units
