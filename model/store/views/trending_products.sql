-- The fifty products of which most more were sold in the hour to the watermark than in the same hour a day before.
SELECT product_id, units, units_before, units - units_before AS units_change, revenue, revenue_before
FROM (
    SELECT product_id,
           sum(CASE WHEN window_start > watermark() - interval '1 hour' THEN units ELSE 0 END) AS units,
           sum(CASE WHEN window_start > watermark() - interval '1 hour' THEN 0 ELSE units END) AS units_before,
           round(sum(CASE WHEN window_start > watermark() - interval '1 hour' THEN revenue ELSE 0 END), 2) AS revenue,
           round(sum(CASE WHEN window_start > watermark() - interval '1 hour' THEN 0 ELSE revenue END), 2) AS revenue_before
    FROM product_sales
    WHERE window_start <= watermark() AND window_start > watermark() - interval '1 hour'
       OR window_start <= watermark() - interval '24 hours' AND window_start > watermark() - interval '25 hours'
    GROUP BY product_id
) AS sold
WHERE units > 0
ORDER BY units_change DESC, units DESC, product_id
LIMIT 50
