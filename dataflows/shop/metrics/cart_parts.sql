-- Adds and checkouts that are not late, each with the number of its cart: a cart id that is silent
-- for :cart_ttl_ms is another cart afterwards.
WITH gaps AS (
    SELECT *, timestamp - LAG(timestamp) OVER (PARTITION BY cart_id ORDER BY timestamp) AS gap
    FROM cart_events
    WHERE event_name IN ('added_to_cart', 'checkout_to_cart') AND NOT late
)
SELECT cart_id, event_name, user_id, item_id, timestamp,
       SUM(coalesce(gap >= :cart_ttl_ms, 1)) OVER (PARTITION BY cart_id ORDER BY timestamp) AS part
FROM gaps
