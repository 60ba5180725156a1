-- The categories with the largest revenue of a period, refunds taken off.
SELECT category_code, ROUND(SUM(revenue), 2) AS revenue, SUM(units) AS units
FROM revenue_by_category
WHERE day >= :from AND day < :until
GROUP BY category_code
ORDER BY 2 DESC, 1
LIMIT :top
