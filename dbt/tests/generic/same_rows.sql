{# The model has the rows of its source, each as it is there: no change was lost, none was left out. Both are read whole.
   Of a table whose rows are only added the model may have more: those that `[retention]` has taken out of the source. #}
{% test same_rows(model, to, appended=false) %}
{{ config(tags=['deltamart_whole']) }}
{%- set commit = dbt_deltamart.own('deltamart_commit') %}
{%- set columns = adapter.get_columns_in_relation(model) | map(attribute='quoted') | join(', ') if execute else '*' %}
with wanted as (
    select {{ columns }} from {{ to }}
    where _epoch <= (select epoch from {{ commit }})
),
missing as (
    select * from wanted except select {{ columns }} from {{ model }}
)
select 'missing, or another' as what, count(*) as rows_found from missing having count(*) > 0
union all
select 'more than wanted', (select count(*) from {{ model }}) - (select count(*) from {{ to }})
where {{ dbt_deltamart.is_of_the_commit() }}
  and (select count(*) from {{ model }}) > (select count(*) from {{ to }})
  {%- if appended %}
  and (select min(_epoch) from {{ model }}) >= (select min(_epoch) from {{ to }})
  {%- endif %}
{% endtest %}
