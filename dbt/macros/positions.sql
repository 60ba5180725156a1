{# Up to which commit each model has read: written in the transaction of its rows, so that what is killed begins where its
   rows end. A row is added for each run, since transactions that change the same table stand in each other's way; only the
   last one counts, and the others go when the next run begins. #}

{% macro make_positions() %}
  {%- set positions = dbt_deltamart.own('deltamart_positions') -%}
  {%- if not load_relation(positions) -%}
    {%- do run_query('create table ' ~ positions ~ ' (model varchar, pipeline_id varchar, epoch bigint, put_down_at timestamp)') -%}
  {%- else -%}
    {%- do run_query(
        'delete from ' ~ positions ~ ' where exists (select 1 from ' ~ positions ~ ' as newer where newer.model = '
        ~ positions ~ '.model and newer.put_down_at > ' ~ positions ~ '.put_down_at)'
    ) -%}
  {%- endif -%}
{% endmacro %}

{# The statement that puts down where a model is now: a hook, after its rows. #}
{% macro put_down() %}
  {%- if execute -%}
    {%- set commit = dbt_deltamart.own('deltamart_commit') -%}
    insert into {{ dbt_deltamart.own('deltamart_positions') }} (model, pipeline_id, epoch, put_down_at)
    select {{ dbt_deltamart.literal(this) }}, pipeline_id, epoch, {{ dbt_deltamart.now() }} from {{ commit }}
  {%- endif -%}
{% endmacro %}

{% macro now() %}{{ return(adapter.dispatch('now', 'dbt_deltamart')()) }}{% endmacro %}
{% macro duckdb__now() %}{{ return("now() at time zone 'UTC'") }}{% endmacro %}
{% macro snowflake__now() %}{{ return("sysdate()") }}{% endmacro %}

{# Where a model was put down last; nothing if it never was. #}
{% macro position(relation) %}
  {%- set found = run_query(
      'select pipeline_id, epoch from ' ~ dbt_deltamart.own('deltamart_positions') ~ ' where model = '
      ~ dbt_deltamart.literal(relation) ~ ' order by put_down_at desc limit 1'
  ) -%}
  {%- if found.rows | length == 0 -%}{{ return(none) }}{%- endif -%}
  {{ return({'pipeline_id': found.rows[0][0], 'epoch': found.rows[0][1] | int}) }}
{% endmacro %}
