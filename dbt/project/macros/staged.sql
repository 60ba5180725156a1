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
