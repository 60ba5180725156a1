{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['customer_id']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'customer_lifetime_value')) }}
