{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['movie_id', 'window_type', 'timestamp']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'movie_sales_metrics')) }}
