{# What a model selects of a source: at first the rows that are, afterwards those that changed since its own last commit, one
   of each key. Of a row that is gone there is the key, and `_epoch` is below 0: the strategy `deltas` knows it by that. #}
{% macro rows(source) %}
  {{- config(post_hook="{{ dbt_deltamart.put_down() }}") -}}
  {%- if execute and is_incremental() -%}
    {{ adapter.dispatch('changes', 'dbt_deltamart')(source) }}
  {%- else -%}
    select * from {{ source }}
  {%- endif -%}
{% endmacro %}

{% macro key_columns() %}
  {%- set key = config.get('unique_key') -%}
  {{ return([key] if key is string else key) }}
{% endmacro %}

{# From which commit on a model must read; stops where the changes since then are not all there. #}
{% macro since(table, commit) %}
  {%- set position, again = dbt_deltamart.position(this), "Run `dbt build --full-refresh --select " ~ this.identifier ~ "+`." -%}
  {%- if position is none -%}
    {{ exceptions.raise_compiler_error("nobody knows up to which commit `" ~ this ~ "` has been read. " ~ again) }}
  {%- elif position.pipeline_id != commit.pipeline_id -%}
    {{ exceptions.raise_compiler_error("`" ~ this ~ "` was read of another pipeline (" ~ position.pipeline_id ~ ", now it is " ~ commit.pipeline_id ~ "), of which the changes do not tell what is gone. " ~ again) }}
  {%- elif position.epoch > commit.epoch -%}
    {{ exceptions.raise_compiler_error("`" ~ this ~ "` has been read up to epoch " ~ position.epoch ~ ", and the newest commit is " ~ commit.epoch ~ ": an older copy was put back. " ~ again) }}
  {%- elif position.epoch < commit.anew.get(table, 0) -%}
    {{ exceptions.raise_compiler_error("`" ~ this ~ "` has been read up to epoch " ~ position.epoch ~ ", and of the changes before epoch " ~ commit.anew[table] ~ " some are not there any more (`feed.retention`, or the table was made anew). " ~ again) }}
  {%- endif -%}
  {{ return(position.epoch) }}
{% endmacro %}

{# The files of deltas after an epoch, up to the commit. Their names say epoch and generation, so that no other is opened;
   what a start left over that nobody committed is left out. #}
{% macro files_since(table, after, commit) %}
  {%- set folder = dbt_deltamart.feed() ~ '/' ~ table ~ '/deltas/' -%}
  {%- set paths, starts = [folder ~ '_schema.parquet'], commit.starts | sort(attribute='generation') -%}
  {%- if after < commit.epoch -%}
    {%- set listed = run_query(
        "select file, epoch, generation from (select file, try_cast(split_part(name, '-', 1) as bigint) as epoch, try_cast(split_part(name, '-', 2) as bigint) as generation "
        ~ "from (select file, parse_filename(file) as name from glob(" ~ dbt_deltamart.literal(folder ~ '**/*.parquet') ~ "))) where epoch > "
        ~ after ~ " and epoch <= " ~ commit.epoch ~ " order by file"
    ) -%}
    {%- for file, epoch, generation in listed.rows -%}
      {%- for start in starts if start.generation == generation | int and epoch | int > start.after -%}
        {%- if starts | selectattr('generation', 'gt', start.generation) | map(attribute='after') | select('lt', epoch | int) | list | length == 0 -%}
          {%- do paths.append(file) -%}
        {%- endif -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(paths) }}
{% endmacro %}

{% macro duckdb__changes(source) %}
  {%- set commit = dbt_deltamart.pinned() -%}
  {%- set paths = dbt_deltamart.files_since(source.identifier, dbt_deltamart.since(source.identifier, commit), commit) -%}
  select {{ dbt_deltamart.as_declared(adapter.get_columns_in_relation(this), 'dtype', "case when _op = 'upsert' then _epoch else -1 - _epoch end") }}
  from (
    from {{ dbt_deltamart.files(paths) }}
    qualify row_number() over (partition by {% for column in dbt_deltamart.key_columns() %}"{{ column }}"{{ ', ' if not loop.last }}{% endfor %} order by _epoch desc) = 1
  )
{% endmacro %}

{# In Snowflake the source is the table itself: what changed has a later epoch, and what is gone is not there. It is read as it
   is when the statement begins; what is newer than the commit that is pinned is read once more by the next run. #}
{% macro snowflake__changes(source) %}
  {%- set position, commit = dbt_deltamart.position(this), dbt_deltamart.pinned() -%}
  {#- What was killed before it was put down is compared as a whole, which is right whatever it was. #}
  {%- set after = dbt_deltamart.since(source.identifier, commit) if position else -1 -%}
  {%- set keys = dbt_deltamart.key_columns() | map('lower') | list -%}
  select {% for column in adapter.get_columns_in_relation(this) %}{{ column.quoted }}{{ ', ' if not loop.last }}{% endfor %}
  from {{ source }} where _epoch > {{ after }}
  union all
  select {% for column in adapter.get_columns_in_relation(this) -%}
    {%- if column.name | lower in keys %}t.{{ column.quoted }}
    {%- elif column.name | lower == '_epoch' %}-1 - {{ commit.epoch }}
    {%- else %}cast(null as {{ column.data_type }})
    {%- endif %} as {{ column.quoted }}{{ ', ' if not loop.last }}
  {%- endfor %}
  from {{ this }} as t
  where not exists (select 1 from {{ source }} as s where {% for column in keys %}s.{{ column }} = t.{{ column }}{{ ' and ' if not loop.last }}{% endfor %})
{% endmacro %}
