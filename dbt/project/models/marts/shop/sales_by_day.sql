select
    cast(date_trunc('day', sold_at) as timestamp) as day,
    cast(count(*) as bigint) as units,
    cast(coalesce(sum(purchase_amount), 0) as decimal(18,2)) as sales,
    cast(sum(case when purchase_amount is null then 1 else 0 end) as bigint) as unpriced_units,
    cast(count(distinct user_id) as bigint) as buyers,
    cast(count(distinct movie_id) as bigint) as movies
from {{ ref('dbt_deltamart', 'movie_sale_lines') }}
group by 1
