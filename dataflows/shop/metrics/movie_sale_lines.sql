-- movie_sale_lines over `cart_parts`, `sold_carts` and `prices`, and finished purchases.
WITH lines AS (
    SELECT DISTINCT cart_id, item_id AS movie_id, timestamp AS added_at, sold_carts.user_id, sold_at
    FROM cart_parts JOIN sold_carts USING (cart_id, part)
    WHERE event_name = 'added_to_cart' AND timestamp <= sold_at
)
SELECT cart_id, movie_id, added_at, user_id, sold_at, price AS purchase_amount
FROM lines
LEFT JOIN prices
    ON item_id = movie_id
    AND (effective_at <= sold_at OR (is_first AND effective_at - sold_at <= :price_backfill_ms))
    AND (until IS NULL OR sold_at < until)
UNION ALL
-- Said twice with two amounts, the greater one counts.
SELECT cart_id, item_id, timestamp, user_id, timestamp, MAX(purchase_amount)
FROM cart_events
WHERE event_name = 'purchase' AND NOT late
GROUP BY cart_id, item_id, timestamp, user_id
