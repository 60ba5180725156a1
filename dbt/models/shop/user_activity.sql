{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['user_id']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'user_activity')) }}
