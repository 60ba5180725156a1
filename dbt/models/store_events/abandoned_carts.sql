{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day', 'customer_id', 'session_id', 'product_id']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'abandoned_carts')) }}
