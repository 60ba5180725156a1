-- What was sold is kept when a buyer is forgotten; who bought it is not.
with sold as (
    select
        timestamp as week,
        sum(units_sold) as units,
        sum(total_sales) as sales,
        sum(unpriced_units) as unpriced_units,
        count(*) as movies
    from {{ ref('dbt_deltamart', 'movie_sales_metrics') }}
    where window_type = 'weekly'
    group by 1
),
bought as (
    select date_trunc('week', sold_at) as week, count(distinct user_id) as buyers
    from {{ ref('dbt_deltamart', 'movie_sale_lines') }}
    group by 1
)
select
    cast(s.week as timestamp) as week,
    cast(s.units as bigint) as units,
    cast(s.sales as decimal(18,2)) as sales,
    cast(s.unpriced_units as bigint) as unpriced_units,
    cast(coalesce(b.buyers, 0) as bigint) as buyers,
    cast(s.movies as bigint) as movies
from sold as s
left join bought as b on b.week = s.week
