{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['customer_id', 'session_id', 'started']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'visits')) }}
