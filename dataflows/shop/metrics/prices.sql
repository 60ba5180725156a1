-- From when to when an item had which price (null: none). Of the versions that take effect at one
-- instant the last one counts.
WITH ordered AS (
    SELECT item_id, effective_at, price,
           ROW_NUMBER() OVER (
               PARTITION BY item_id, effective_at
               ORDER BY timestamp DESC, title DESC, price DESC, price_reason DESC, list_price_raw DESC,
                        product_group DESC, binding DESC, genre DESC, studio DESC, brand DESC, release_date DESC,
                        audience_rating DESC, running_time DESC, directors DESC, actors DESC, languages DESC,
                        attributes DESC
           ) AS n
    FROM catalog_events
)
SELECT item_id,
       effective_at,
       LEAD(effective_at) OVER of_item AS until,
       ROW_NUMBER() OVER of_item = 1 AS is_first,
       price
FROM ordered
WHERE n = 1
WINDOW of_item AS (PARTITION BY item_id ORDER BY effective_at)
