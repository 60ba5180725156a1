{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['hour']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'hourly_activity')) }}
