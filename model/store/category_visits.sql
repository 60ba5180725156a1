-- One row per customer, session, category and visit of the category: how far it went there.
SELECT user_id AS customer_id,                                              -- Who.
       user_session AS session_id,                                          -- The session's id; empty where there is none.
       category_code AS category,                                           -- Which category.
       session(event_time, interval '24 hours') AS started,                 -- When its first event in the category was.
       funnel(event_type = 'view',
              event_type = 'cart',
              event_type = 'purchase' AND price >= 0) AS reached,           -- 1: viewed; 2: carted then; 3: bought then.
       count(*) FILTER (WHERE event_type = 'cart') AS carts,                -- How often something was put into the cart.
       count(*) FILTER (WHERE event_type = 'purchase' AND price >= 0) AS purchases  -- How much was bought.
FROM store_events
GROUP BY customer_id, session_id, category, started
