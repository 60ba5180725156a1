{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['day', 'brand']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'revenue_by_brand')) }}
