-- user_segments over all events of a user that are not late, `cart_parts`, `sold_carts` and
-- `movie_sale_lines`. At an instant t, of what happened at or before it, the first that fits counts:
--   high_value        spent at least :high_value_cents in (t - :high_value_within_ms, t]
--   cart_abandoner    at least :abandoned_carts carts stand abandoned at t
--   frequent_browser  at least :frequent_views views in (t - :frequent_within_ms, t], each record once
--   new               the first registration is in (t - :new_within_ms, t]
--   inactive          nothing at all in (t - :inactive_after_ms, t]
--   regular           otherwise
-- A cart stands abandoned from :abandoned_after_ms past an add, if no other add and no checkout came
-- until then, to the next add, for :abandoned_within_ms at most; it is that of the add's user, of two
-- at the same time the greater. A user is there from the first event on. `since` is the first instant
-- from which on to the watermark the segment was never another.
WITH seen(user_id, at, event_name) AS (
    SELECT user_id, timestamp, event_name FROM consumer_events WHERE NOT late
    UNION ALL
    SELECT user_id, timestamp, 'item_view' FROM item_view_events WHERE NOT late
    UNION ALL
    SELECT user_id, timestamp, event_name FROM cart_events WHERE NOT late
    UNION ALL
    SELECT user_id, timestamp, 'item_rating' FROM rating_events WHERE NOT late
),
adds AS (
    SELECT cart_id, part, user_id,
           timestamp + :abandoned_after_ms AS start,
           LEAD(timestamp) OVER (PARTITION BY cart_id, part ORDER BY timestamp, user_id) AS next
    FROM cart_parts
    WHERE event_name = 'added_to_cart'
),
abandoned AS (
    SELECT adds.user_id, start, min(coalesce(next, start + :abandoned_within_ms), start + :abandoned_within_ms) AS until
    FROM adds LEFT JOIN sold_carts USING (cart_id, part)
    WHERE (next IS NULL OR next > start) AND (sold_at IS NULL OR sold_at > start)
),
registered AS (
    SELECT user_id, MIN(at) AS at FROM seen WHERE event_name = 'consumer_registration' GROUP BY user_id
),
-- What counts from when until when (not included). Nothing else changes a segment.
facts(user_id, start, until, cents, carts, views, registered, events) AS (
    SELECT user_id, sold_at, sold_at + :high_value_within_ms, coalesce(purchase_amount, 0), 0, 0, 0, 0
    FROM movie_sale_lines
    UNION ALL
    SELECT user_id, start, until, 0, 1, 0, 0, 0 FROM abandoned
    UNION ALL
    SELECT user_id, at, at + :frequent_within_ms, 0, 0, 1, 0, 0 FROM seen WHERE event_name = 'item_view'
    UNION ALL
    SELECT user_id, at, at + :new_within_ms, 0, 0, 0, 1, 0 FROM registered
    UNION ALL
    SELECT user_id, at, at + :inactive_after_ms, 0, 0, 0, 0, 1 FROM seen
),
changes AS (
    SELECT user_id, start AS at, cents, carts, views, registered, events FROM facts
    UNION ALL
    SELECT user_id, until, -cents, -carts, -views, -registered, -events FROM facts
),
-- What counts at each of the instants at which something changes.
standing AS (
    SELECT user_id, at,
           SUM(SUM(cents)) OVER up_to AS cents,
           SUM(SUM(carts)) OVER up_to AS carts,
           SUM(SUM(views)) OVER up_to AS views,
           SUM(SUM(registered)) OVER up_to AS registered,
           SUM(SUM(events)) OVER up_to AS events
    FROM changes
    WHERE at <= :watermark
    GROUP BY user_id, at
    WINDOW up_to AS (PARTITION BY user_id ORDER BY at)
),
segments AS (
    SELECT user_id, at,
           CASE WHEN cents >= :high_value_cents THEN 'high_value'
                WHEN carts >= :abandoned_carts THEN 'cart_abandoner'
                WHEN views >= :frequent_views THEN 'frequent_browser'
                WHEN registered > 0 THEN 'new'
                WHEN events = 0 THEN 'inactive'
                ELSE 'regular' END AS segment
    FROM standing
),
entered AS (
    SELECT *, LAG(segment) OVER (PARTITION BY user_id ORDER BY at) AS before FROM segments
),
latest_first AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY at DESC) AS n
    FROM entered
    WHERE before IS NOT segment
)
SELECT user_id, segment, at AS since FROM latest_first WHERE n = 1
