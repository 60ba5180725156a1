-- The brands with the largest revenue of a period, refunds taken off.
SELECT brand, ROUND(SUM(revenue), 2) AS revenue, SUM(units) AS units
FROM revenue_by_brand
WHERE day >= :from AND day < :until
GROUP BY brand
ORDER BY 2 DESC, 1
LIMIT :top
