{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['movie_id']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'movie_statistics')) }}
