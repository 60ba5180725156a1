-- What each day of a period earned, refunds taken off.
SELECT day, revenue, units, buyers, refunds
FROM daily_revenue
WHERE day >= :from AND day < :until
ORDER BY day
