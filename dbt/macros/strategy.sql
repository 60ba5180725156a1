{# incremental_strategy='deltas': what changed is put in the place of what was, and what is gone is deleted. One text of a model
   for every warehouse; what it comes to is said here. #}
{% macro get_incremental_deltas_sql(arg_dict) %}
  {{ return(adapter.dispatch('get_incremental_deltas_sql', 'dbt_deltamart')(arg_dict)) }}
{% endmacro %}

{# Both statements are of the model's one transaction. #}
{% macro duckdb__get_incremental_deltas_sql(arg_dict) %}
  {%- set target, temp = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
  {%- set keys = [arg_dict['unique_key']] if arg_dict['unique_key'] is string else arg_dict['unique_key'] -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  delete from {{ target }} as t using {{ temp }} as s where {% for key in keys %}t."{{ key }}" = s."{{ key }}"{{ ' and ' if not loop.last }}{% endfor %};
  insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ temp }} where _epoch >= 0
{% endmacro %}

{% macro snowflake__get_incremental_deltas_sql(arg_dict) %}
  {%- set target, temp = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
  {%- set keys = [arg_dict['unique_key']] if arg_dict['unique_key'] is string else arg_dict['unique_key'] -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | list -%}
  merge into {{ target }} as t using {{ temp }} as s on {% for key in keys %}t.{{ key }} = s.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
  when matched and s._epoch < 0 then delete
  when matched then update set {% for column in columns %}{{ column }} = s.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
  when not matched and s._epoch >= 0 then insert ({{ columns | join(', ') }}) values ({% for column in columns %}s.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
