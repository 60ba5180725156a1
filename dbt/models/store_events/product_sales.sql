{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['product_id', 'window_start']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'product_sales')) }}
