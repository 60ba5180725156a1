-- The hundred customers with the largest revenue. Who has the same is in the order of the ids.
SELECT customer_id, revenue, orders, refunds, average_order_value, revenue_per_month, first_purchase, last_purchase
FROM customer_lifetime_value
ORDER BY revenue DESC, customer_id
LIMIT 100
