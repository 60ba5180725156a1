{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['window_type', 'timestamp']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'checkout_metrics')) }}
