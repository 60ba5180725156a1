{{ config(enabled=var('deltamart_family_shop', true)) }}
-- With the thresholds of the pipeline, so are the segments.
with mine as (
    select user_id, segment from {{ ref('user_segmentation') }}
    where {{ var('segments_are_the_pipelines') }}
),
theirs as (
    select user_id, segment from {{ ref('dbt_deltamart', 'user_segments') }}
    where {{ var('segments_are_the_pipelines') }}
)
select * from (select * from mine except select * from theirs) as more
union all
select * from (select * from theirs except select * from mine) as less
