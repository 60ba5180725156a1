-- checkout_metrics over the accepted events; :lateness_ms is 0 where lateness is unlimited.
WITH slides(n) AS (VALUES (0), (1), (2), (3)),
seen AS (
    SELECT user_id, timestamp FROM cart_events
    WHERE event_name IN ('checkout_to_cart', 'purchase') AND NOT late
),
in_windows AS (
    SELECT 'tumbling' AS window_type, timestamp - timestamp % 3600000 AS start, user_id FROM seen
    UNION ALL
    SELECT 'sliding', timestamp - timestamp % 900000 - n * 900000, user_id FROM seen, slides
)
SELECT window_type,
       start AS timestamp,
       start + 3600000 AS window_end,
       COUNT(DISTINCT user_id) AS checkout_user_count,
       start + 3600000 <= :watermark - :lateness_ms AS is_final
FROM in_windows
GROUP BY window_type, start
