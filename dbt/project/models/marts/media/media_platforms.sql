-- How each kind of device is used over the day: hours of the day, UTC, over all days and countries.
select
    device_type,
    cast(extract(hour from hour) as bigint) as hour_of_day,
    cast(sum(events) as bigint) as events,
    {{ share('sum(events)', 'sum(sum(events)) over (partition by device_type)') }} as share_of_device
from {{ ref('dbt_deltamart', 'platform_metrics') }}
group by 1, 2
