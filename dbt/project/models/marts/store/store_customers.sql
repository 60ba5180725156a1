with activity as (
    select
        customer_id,
        min(event_date) as first_day,
        max(event_date) as last_day,
        count(*) as days_active,
        sum(page_views) as page_views,
        sum(add_to_cart_count) as add_to_carts,
        sum(purchase_count) as purchases,
        sum(total_revenue) as revenue
    from {{ ref('dbt_deltamart', 'customer_daily_metrics') }}
    group by 1
)
select
    a.customer_id,
    cast(a.first_day as timestamp) as first_day,
    cast(a.last_day as timestamp) as last_day,
    cast(a.days_active as bigint) as days_active,
    cast(a.page_views as bigint) as page_views,
    cast(a.add_to_carts as bigint) as add_to_carts,
    cast(a.purchases as bigint) as purchases,
    cast(a.revenue as decimal(18,2)) as revenue,
    cast(coalesce(v.orders, 0) as bigint) as orders,
    cast(coalesce(v.refunds, 0) as bigint) as refunds,
    v.average_order_value,
    case
        when coalesce(v.orders, 0) = 0 then 'never'
        when v.orders = 1 then 'once'
        else 'again'
    end as buys
from activity as a
left join {{ ref('dbt_deltamart', 'customer_lifetime_value') }} as v on v.customer_id = a.customer_id
