{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['cart_id', 'movie_id', 'added_at']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'movie_sale_lines')) }}
