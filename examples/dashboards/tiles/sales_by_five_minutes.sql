-- What was sold last: of each product in each five minutes how many, and for how much.
SELECT window_start, product_id, units, revenue
FROM product_sales
WHERE window_start >= :from AND window_start < :until
ORDER BY window_start DESC, product_id
LIMIT 200
