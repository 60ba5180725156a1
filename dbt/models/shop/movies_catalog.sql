{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['item_id']) }}
{{ dbt_deltamart.rows(source('deltamart_clean', 'movies_catalog')) }}
