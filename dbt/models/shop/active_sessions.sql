{{ config(materialized='incremental', incremental_strategy='deltas', unique_key=['user_id', 'signed_in_at']) }}
{{ dbt_deltamart.rows(source('deltamart_marts', 'active_sessions')) }}
