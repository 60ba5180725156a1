-- The days that there are to choose from.
SELECT MIN(day) AS first, MAX(day) AS last
FROM daily_revenue
