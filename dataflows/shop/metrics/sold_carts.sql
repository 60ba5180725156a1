-- Carts that were sold, over `cart_parts`: by their earliest checkout.
WITH checkouts AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY cart_id, part ORDER BY timestamp, user_id) AS n
    FROM cart_parts
    WHERE event_name = 'checkout_to_cart'
)
SELECT cart_id, part, user_id, timestamp AS sold_at FROM checkouts WHERE n = 1
