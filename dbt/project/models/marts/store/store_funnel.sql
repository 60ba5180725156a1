-- How far visits went is kept when a customer is forgotten, whose visits are not. Rates are computed anew, so that they may be
-- summed over other days: of sums, not of rates.
select
    cast(day as timestamp) as day,
    visits,
    viewed,
    carted,
    purchased,
    purchased_without_cart,
    {{ share('carted', 'viewed') }} as carted_rate,
    {{ share('purchased', 'carted') }} as purchased_rate,
    {{ share('purchased', 'viewed') }} as whole_rate
from {{ ref('dbt_deltamart', 'daily_funnel') }}
