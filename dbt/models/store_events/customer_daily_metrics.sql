{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['customer_id', 'event_date']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'customer_daily_metrics')) }}
