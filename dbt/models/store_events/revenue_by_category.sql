{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day', 'category_code']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'revenue_by_category')) }}
