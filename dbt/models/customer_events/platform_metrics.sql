{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['device_type', 'country', 'hour']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'platform_metrics')) }}
