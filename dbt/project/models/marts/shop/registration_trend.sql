-- Every hour from the first registration to the last, those without one too.
with hours as (
    select timestamp as hour, registration_count
    from {{ ref('dbt_deltamart', 'user_registration_metrics') }}
    where window_type = 'tumbling'
),
bounds as (
    select min(hour) as first_hour, max(hour) as last_hour from hours
),
every_hour as (
    {{ every('hour', 'first_hour', 'last_hour', 'bounds') }}
)
select
    cast(e.moment as timestamp) as hour,
    cast(coalesce(h.registration_count, 0) as bigint) as registrations,
    cast(d.registration_count as bigint) as registrations_a_day_before,
    cast(sum(coalesce(h.registration_count, 0)) over (order by e.moment) as bigint) as registrations_so_far
from every_hour as e
left join hours as h on h.hour = e.moment
left join hours as d on d.hour = {{ dbt.dateadd('day', -1, 'e.moment') }}
