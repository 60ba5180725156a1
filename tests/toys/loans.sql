-- toy_loans over the accepted events.
SELECT toy, SUM(CASE event_name WHEN 'toy_lent' THEN 1 ELSE -1 END) AS "out"
FROM toy_events
WHERE NOT late
GROUP BY toy
HAVING SUM(CASE event_name WHEN 'toy_lent' THEN 1 ELSE -1 END) <> 0
