{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'daily_funnel')) }}
