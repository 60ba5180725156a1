select item_id, effective_at, timestamp as stated_at, title, price, price_reason, genre, studio
from {{ ref('dbt_deltamart', 'catalog_events') }}
