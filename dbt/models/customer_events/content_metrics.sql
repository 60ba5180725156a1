{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day', 'media_id']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'content_metrics')) }}
