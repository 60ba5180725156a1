-- One row per customer with an event on the day of the watermark: what the customer did until now.
SELECT customer_id, event_date, page_views, add_to_cart_count, purchase_count, total_revenue
FROM customer_daily_metrics
WHERE event_date = date_trunc('day', watermark())
