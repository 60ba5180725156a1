{# The events of one kind out of a table of records: each with an id, when it happened, and whether it came too late to change
   a metric. `columns` are those of its own. #}
{% macro staged(table, kind, columns, kind_column='event_name', time='timestamp') %}
select
    e._topic || '/' || cast(e._partition as varchar) || '/' || cast(e._offset as varchar) as event_id,
    e.{{ time }} as occurred_at,
    {% for column in columns -%}
    e.{{ column }},
    {% endfor -%}
    l._offset is not null as is_late
from {{ ref('dbt_deltamart', table) }} as e
left join {{ ref('dbt_deltamart', 'late_events') }} as l
    on l._topic = e._topic and l._partition = e._partition and l._offset = e._offset
where e.{{ kind_column }} = '{{ kind }}'
{% endmacro %}

{# Events of the store, each once: one that is repeated in every field counts once. What came too late is left out. #}
{% macro staged_of_store(kind) %}
select distinct
    e.event_time as occurred_at, e.user_id as customer_id, e.user_session as session_id, e.product_id, e.category_id,
    e.category_code, e.brand, e.price
from {{ ref('dbt_deltamart', 'store_events') }} as e
left join {{ ref('dbt_deltamart', 'late_events') }} as l
    on l._topic = e._topic and l._partition = e._partition and l._offset = e._offset
where e.event_type = '{{ kind }}' and l._offset is null
{% endmacro %}

{# A part of a whole, null of nothing, with three decimals. #}
{% macro share(part, whole) -%}
cast(cast({{ part }} as decimal(18,3)) / nullif({{ whole }}, 0) as decimal(18,3))
{%- endmacro %}

{# Every minute, hour or day from one instant to another, as `moment`; both are columns of `from_`, which has one row. #}
{% macro every(unit, first, last, from_) -%}
select {{ dbt.dateadd(unit, 'cast(numbers.generated_number as integer) - 1', first) }} as moment
from {{ from_ }} cross join ({{ dbt.generate_series(var('series_max')) }}) as numbers
where {{ dbt.dateadd(unit, 'cast(numbers.generated_number as integer) - 1', first) }} <= {{ last }}
{%- endmacro %}

{# What was sold in each day or week, by the pipeline's windows: `window` is theirs, `unit` that of a date. What was sold is kept
   when a buyer is forgotten; who bought it is not. #}
{% macro sold_by(unit, window) -%}
with sold as (
    select
        timestamp as {{ unit }},
        sum(units_sold) as units,
        sum(total_sales) as sales,
        sum(unpriced_units) as unpriced_units,
        count(*) as movies
    from {{ ref('dbt_deltamart', 'movie_sales_metrics') }}
    where window_type = '{{ window }}'
    group by 1
),
bought as (
    select date_trunc('{{ unit }}', sold_at) as {{ unit }}, count(distinct user_id) as buyers
    from {{ ref('dbt_deltamart', 'movie_sale_lines') }}
    group by 1
)
select
    cast(s.{{ unit }} as timestamp) as {{ unit }},
    cast(s.units as bigint) as units,
    cast(s.sales as decimal(18,2)) as sales,
    cast(s.unpriced_units as bigint) as unpriced_units,
    cast(coalesce(b.buyers, 0) as bigint) as buyers,
    cast(s.movies as bigint) as movies
from sold as s
left join bought as b on b.{{ unit }} = s.{{ unit }}
{%- endmacro %}
