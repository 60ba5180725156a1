{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['timestamp']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'session_metrics')) }}
