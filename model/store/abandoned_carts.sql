-- One row per session, product and day on which it was last put into the cart, if it was not removed and the session bought nothing within an hour. A late purchase deletes the row.
SELECT date_trunc('day', c.event_time) AS day,                              -- The day, UTC.
       c.user_id AS customer_id,                                            -- Who.
       c.user_session AS session_id,                                        -- The session's id; empty where there is none.
       c.product_id,                                                        -- Which product.
       max(c.event_time) AS added_at,                                       -- When it was put into the cart.
       max_by(c.price, c.event_time) AS cart_price                          -- Its price then.
FROM store_events c
WHERE c.event_type = 'cart'
  AND c.event_time + interval '1 hour' <= watermark()
  AND NOT EXISTS (SELECT 1 FROM store_events p
                  WHERE p.user_id = c.user_id AND p.user_session = c.user_session
                    AND p.event_type = 'purchase' AND p.price >= 0
                    AND p.event_time >= c.event_time AND p.event_time < c.event_time + interval '1 hour')
  AND NOT EXISTS (SELECT 1 FROM store_events r
                  WHERE r.user_id = c.user_id AND r.user_session = c.user_session AND r.product_id = c.product_id
                    AND r.event_type = 'remove_from_cart'
                    AND r.event_time >= c.event_time AND r.event_time < c.event_time + interval '24 hours')
  AND NOT EXISTS (SELECT 1 FROM store_events n
                  WHERE n.user_id = c.user_id AND n.user_session = c.user_session AND n.product_id = c.product_id
                    AND n.event_type = 'cart'
                    AND n.event_time > c.event_time AND n.event_time < c.event_time + interval '24 hours')
GROUP BY day, customer_id, session_id, product_id
