-- toy_children over the accepted events; :lateness_ms is 0 where lateness is unlimited.
WITH slides(n) AS (VALUES (0), (1), (2), (3)),
in_windows AS (
    SELECT 'tumbling' AS window_type, timestamp - timestamp % 3600000 AS start, child FROM toy_events WHERE NOT late
    UNION ALL
    SELECT 'sliding', timestamp - timestamp % 900000 - n * 900000, child FROM toy_events, slides WHERE NOT late
)
SELECT window_type,
       start AS timestamp,
       COUNT(DISTINCT child) AS children,
       start + 3600000 <= :watermark - :lateness_ms AS is_final
FROM in_windows
GROUP BY window_type, start
