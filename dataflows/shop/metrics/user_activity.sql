-- user_activity over all events of a user that are not late, `cart_parts`, `sold_carts`,
-- `movie_sale_lines` and `sessions`. Adds, checkouts and purchases count once however often they were
-- said; a cart counts as one checkout, of the user who checked it out first, and so does a purchase.
WITH adds AS (
    SELECT DISTINCT cart_id, user_id, item_id, timestamp FROM cart_parts WHERE event_name = 'added_to_cart'
),
facts(user_id, views, adds, checkouts, units, spend, sessions, at) AS (
    SELECT user_id, 0, 0, 0, 0, 0, 0, timestamp FROM consumer_events WHERE NOT late
    UNION ALL
    SELECT user_id, 1, 0, 0, 0, 0, 0, timestamp FROM item_view_events WHERE NOT late
    UNION ALL
    SELECT user_id, 0, 0, 0, 0, 0, 0, timestamp FROM cart_events WHERE NOT late
    UNION ALL
    SELECT user_id, 0, 0, 0, 0, 0, 0, timestamp FROM rating_events WHERE NOT late
    UNION ALL
    SELECT user_id, 0, 1, 0, 0, 0, 0, NULL FROM adds
    UNION ALL
    SELECT user_id, 0, 0, 1, 0, 0, 0, NULL FROM sold_carts
    UNION ALL
    SELECT user_id, 0, 0, cart_id LIKE 'user:%', 1, coalesce(purchase_amount, 0), 0, NULL FROM movie_sale_lines
    UNION ALL
    SELECT user_id, 0, 0, 0, 0, 0, 1, NULL FROM sessions
)
SELECT user_id,
       SUM(views) AS views,
       SUM(adds) AS adds,
       SUM(checkouts) AS checkouts,
       SUM(units) AS units,
       SUM(spend) AS spend,
       SUM(sessions) AS sessions,
       MIN(at) AS first_seen,
       MAX(at) AS last_seen
FROM facts
GROUP BY user_id
