{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day', 'category']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'funnel_metrics')) }}
