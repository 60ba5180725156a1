{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['_topic', '_partition', '_offset']) }}
{{ dbt_deltamart.rows(source('deltamart_raw', 'cart_events')) }}
