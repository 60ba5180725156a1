-- One row per day and country with an order: what was ordered.
SELECT date_trunc('day', ordered_at) AS day,          -- The day, UTC.
       country,                                       -- Where it is sent to.
       count(*) AS order_count,                       -- How many orders.
       sum(amount) AS revenue,                        -- For how much.
       count(DISTINCT customer_id) AS customers,      -- Of how many customers.
       is_final() AS is_final                         -- No accepted event can change the row.
FROM orders
GROUP BY day, country
