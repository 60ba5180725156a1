-- One row per customer and day with a revenue: for how much was bought, refunds taken off.
SELECT customer_id, event_date, purchase_count, total_revenue
FROM customer_daily_metrics
WHERE total_revenue <> 0
