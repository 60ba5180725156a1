{# One commit for the whole run: looked up once, by `on-run-start`, and read by every model and test, whatever its thread.
   A table, since dbt-duckdb gives each thread a connection of its own: variables and temporary views do not reach it. #}

{% macro feed() %}{{ return(env_var('DELTAMART_FEED', var('deltamart_feed'))) }}{% endmacro %}

{# Where the package keeps what it must know: beside the models. #}
{% macro own(name) %}
  {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=name)) }}
{% endmacro %}

{% macro pin() %}
  {#- A test looks at the commit that the models are of, and so does what is tried again. #}
  {%- if execute and flags.WHICH in ['run', 'build', 'snapshot', 'seed'] -%}
    {%- do adapter.create_schema(api.Relation.create(database=target.database, schema=target.schema)) -%}
    {%- do adapter.dispatch('pin', 'dbt_deltamart')() -%}
    {%- do dbt_deltamart.make_positions() -%}
  {%- endif -%}
{% endmacro %}

{# The commit that is pinned: `epoch`, `pipeline_id`, `starts` and `anew`; nothing before the first run. #}
{% macro pinned() %}
  {%- set commit = dbt_deltamart.own('deltamart_commit') -%}
  {%- if not load_relation(commit) -%}{{ return(none) }}{%- endif -%}
  {%- set row = run_query('select epoch, pipeline_id, starts, anew from ' ~ commit).rows[0] -%}
  {{ return({'epoch': row[0] | int, 'pipeline_id': row[1], 'starts': fromjson(row[2]), 'anew': fromjson(row[3])}) }}
{% endmacro %}

{% macro duckdb__pin() %}
  {%- set feed = dbt_deltamart.feed() -%}
  {#- Two steps: a table function takes no subquery. #}
  {%- set newest = run_query("select max(file) from glob('" ~ feed ~ "/_progress/*.json')").columns[0][0] -%}
  {%- if not newest -%}
    {{ exceptions.raise_compiler_error("there is no feed at `" ~ feed ~ "`: give its folder, DELTAMART_FEED=/path/of/feed (deltamart: `feed.path`)") }}
  {%- endif -%}
  {%- set manifest = fromjson(run_query("select content from read_text('" ~ newest ~ "')").columns[0][0]) -%}
  {%- do run_query(
      "create or replace table " ~ dbt_deltamart.own('deltamart_commit') ~ " as select "
      ~ manifest.epoch ~ "::bigint as epoch, "
      ~ dbt_deltamart.literal(manifest.pipeline_id) ~ " as pipeline_id, "
      ~ dbt_deltamart.literal(manifest.committed_at) ~ "::timestamptz at time zone 'UTC' as committed_at, "
      ~ dbt_deltamart.literal(manifest.watermark) ~ "::timestamptz at time zone 'UTC' as watermark, "
      ~ dbt_deltamart.literal(tojson(manifest.get('watermarks', {}))) ~ " as watermarks, "
      ~ dbt_deltamart.literal(tojson(manifest.starts)) ~ " as starts, "
      ~ dbt_deltamart.literal(tojson(manifest.get('begin_anew_before', {}))) ~ " as anew"
  ) -%}
  {%- do adapter.create_schema(api.Relation.create(database=target.database, schema=var('deltamart_schema'))) -%}
  {%- for node in graph.sources.values() if node.config.meta.get('deltamart') -%}
    {%- do run_query(dbt_deltamart.view_of_feed(node, manifest, feed)) -%}
  {%- endfor -%}
{% endmacro %}

{% macro snowflake__pin() %}
  {%- set progress = var('deltamart_database') ~ '.' ~ var('deltamart_marts') ~ '._progress' -%}
  {%- do run_query(
      "create or replace table " ~ dbt_deltamart.own('deltamart_commit') ~ " as select epoch, pipeline_id, committed_at, watermark, "
      ~ "watermarks, '[]' as starts, '{}' as anew from " ~ progress
  ) -%}
{% endmacro %}

{# A source over the feed: a view of its rows at the commit that is pinned, out of the files that the commit names. #}
{% macro view_of_feed(node, manifest, feed) %}
  {%- set meta = node.config.meta.deltamart -%}
  {%- set all, changed = [feed ~ '/' ~ node.name ~ '/deltas/_schema.parquet'], [feed ~ '/' ~ node.name ~ '/deltas/_schema.parquet'] -%}
  {%- for run in manifest.tables.get(node.name, []) -%}
    {%- for file in run.files -%}
      {%- do all.append(feed ~ '/' ~ file.path) -%}
      {%- if run.changes -%}{%- do changed.append(feed ~ '/' ~ file.path) -%}{%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  create or replace view {{ api.Relation.create(database=node.database, schema=node.schema, identifier=node.identifier) }} as
  select {{ dbt_deltamart.as_declared(node.columns.values(), 'data_type') }}
  from (
    from {{ dbt_deltamart.files(all) }} as _r
    {%- if meta.appended and changed | length == 1 %}
    where true
    {%- elif meta.appended %}
    where not exists (
      from {{ dbt_deltamart.files(changed) }} as _c
      where {% for column in meta.key %}_c."{{ column }}" = _r."{{ column }}" and {% endfor %}_c._epoch > _r._epoch
    )
    {%- else %}
    qualify row_number() over (partition by {% for column in meta.key %}"{{ column }}"{{ ', ' if not loop.last }}{% endfor %} order by _epoch desc) = 1
    {%- endif %}
  )
  where _op = 'upsert'
{% endmacro %}

{% macro files(paths) -%}
  read_parquet([{% for path in paths %}{{ dbt_deltamart.literal(path) }}{{ ', ' if not loop.last }}{% endfor %}], union_by_name = true, hive_partitioning = false)
{%- endmacro %}

{# Columns of the feed with the types that are declared: instants are UTC without a zone, JSON is text. #}
{% macro as_declared(columns, type, epoch='_epoch') -%}
  {%- for column in columns -%}
    {%- set name, type_of = column['name'], column[type] | lower -%}
    {%- if name == '_epoch' %}{{ epoch }} as _epoch
    {%- elif type_of.startswith('timestamp') %}"{{ name }}" at time zone 'UTC' as "{{ name }}"
    {%- elif type_of == 'varchar' %}"{{ name }}"::varchar as "{{ name }}"
    {%- else %}"{{ name }}"
    {%- endif -%}
    {{ ', ' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{% macro literal(text) %}{{ return("'" ~ (text | string | replace("'", "''")) ~ "'") }}{% endmacro %}

{# Up to where all events of a family have come, of the commit that is pinned: a column of it. #}
{% macro watermark_of(family) %}{{ return(adapter.dispatch('watermark_of', 'dbt_deltamart')(family)) }}{% endmacro %}
{% macro duckdb__watermark_of(family) %}
  {{ return("coalesce((watermarks->>'$." ~ family ~ "')::timestamptz at time zone 'UTC', watermark)") }}
{% endmacro %}
{% macro snowflake__watermark_of(family) %}
  {{ return("coalesce(cast(replace(cast(get_path(parse_json(watermarks), '" ~ family ~ "') as varchar), 'Z', '') as timestamp_ntz), watermark)") }}
{% endmacro %}

{# Whether a source is still of the commit that is pinned: over a feed it is. #}
{% macro is_of_the_commit() %}{{ return(adapter.dispatch('is_of_the_commit', 'dbt_deltamart')()) }}{% endmacro %}
{% macro duckdb__is_of_the_commit() %}{{ return('true') }}{% endmacro %}
{% macro snowflake__is_of_the_commit() %}
  {{ return('(select epoch from ' ~ var('deltamart_database') ~ '.' ~ var('deltamart_marts') ~ '._progress) = (select epoch from ' ~ dbt_deltamart.own('deltamart_commit') ~ ')') }}
{% endmacro %}
