{{ config(enabled=var('deltamart_family_shop', true)) }}
-- No hour was lost, none invented.
with mine as (
    select hour, registrations from {{ ref('registration_trend') }} where registrations > 0
),
theirs as (
    select timestamp as hour, registration_count as registrations from {{ ref('dbt_deltamart', 'user_registration_metrics') }}
    where window_type = 'tumbling'
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
