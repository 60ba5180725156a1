select
    cast(c.day as timestamp) as day,
    c.category_code,
    cast(c.revenue as decimal(18,2)) as revenue,
    c.units,
    c.buyers,
    {{ share('c.revenue', 'd.revenue') }} as share_of_day
from {{ ref('dbt_deltamart', 'revenue_by_category') }} as c
left join {{ ref('dbt_deltamart', 'daily_revenue') }} as d on d.day = c.day
