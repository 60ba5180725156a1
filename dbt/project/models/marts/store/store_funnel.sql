-- Computed anew of the visits: a test compares it with `daily_funnel`, which the pipeline keeps.
select
    cast(date_trunc('day', started) as timestamp) as day,
    cast(count(*) as bigint) as visits,
    cast(sum(case when reached >= 1 then 1 else 0 end) as bigint) as viewed,
    cast(sum(case when reached >= 2 then 1 else 0 end) as bigint) as carted,
    cast(sum(case when reached >= 3 then 1 else 0 end) as bigint) as purchased,
    cast(sum(case when purchases > 0 and carts = 0 then 1 else 0 end) as bigint) as purchased_without_cart,
    {{ share('sum(case when reached >= 2 then 1 else 0 end)', 'sum(case when reached >= 1 then 1 else 0 end)') }} as carted_rate,
    {{ share('sum(case when reached >= 3 then 1 else 0 end)', 'sum(case when reached >= 2 then 1 else 0 end)') }} as purchased_rate,
    {{ share('sum(case when reached >= 3 then 1 else 0 end)', 'sum(case when reached >= 1 then 1 else 0 end)') }} as whole_rate
from {{ ref('dbt_deltamart', 'visits') }}
group by 1
