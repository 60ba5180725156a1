-- movie_sales_metrics over `movie_sale_lines`. 1970-01-01 was a Thursday, three days after a Monday.
WITH windows(window_type) AS (VALUES ('cumulative'), ('daily'), ('weekly'))
SELECT movie_id,
       window_type,
       CASE window_type
           WHEN 'cumulative' THEN 0
           WHEN 'daily' THEN sold_at - sold_at % 86400000
           ELSE sold_at - (sold_at + 259200000) % 604800000
       END AS timestamp,
       coalesce(SUM(purchase_amount), 0) AS total_sales,
       COUNT(*) AS units_sold,
       COUNT(*) - COUNT(purchase_amount) AS unpriced_units
FROM movie_sale_lines, windows
GROUP BY 1, 2, 3
