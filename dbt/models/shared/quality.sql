{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['topic', 'hour']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'quality')) }}
