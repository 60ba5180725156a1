-- One row per hour with an event: what was done in the store.
SELECT date_trunc('hour', event_time) AS hour,                                            -- The hour, UTC.
       count(*) FILTER (WHERE event_type = 'view') AS page_views,           -- How many products were looked at.
       count(*) FILTER (WHERE event_type = 'cart') AS add_to_carts,         -- How many went into a cart.
       count(*) FILTER (WHERE event_type = 'purchase' AND price >= 0) AS purchases, -- How many were bought.
       coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) AS revenue,   -- For how much, refunds taken off.
       count(DISTINCT user_id) AS customers                                 -- How many customers did something.
FROM store_events
GROUP BY hour
