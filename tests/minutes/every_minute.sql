-- session_metrics over `sessions`: the state of all sessions at each minute boundary.
WITH RECURSIVE
signs AS (
    SELECT MIN(timestamp) AS first, MAX(timestamp) AS last FROM consumer_events
    WHERE event_name IN ('sign_in', 'sign_out') AND NOT late
),
bounds AS (
    SELECT (first + 59999) / 60000 * 60000 AS first,
           CASE WHEN :whole_input THEN min((:watermark + 59999) / 60000, (last + 59999) / 60000) * 60000
                ELSE :watermark / 60000 * 60000 END AS last
    FROM signs WHERE first IS NOT NULL
),
minutes AS (
    SELECT first AS at FROM bounds WHERE first <= last
    UNION ALL
    SELECT at + 60000 FROM minutes, bounds WHERE at < last
),
-- A session is active at a boundary m if opened_at <= m < ended_at, and completed if closed_at <= m.
changes AS (
    SELECT (opened_at + 59999) / 60000 * 60000 AS at, 1 AS active, opened_at, 0 AS completed, 0 AS duration
    FROM sessions
    UNION ALL
    SELECT (ended_at + 59999) / 60000 * 60000, -1, -opened_at, closed_at IS NOT NULL, coalesce(closed_at - opened_at, 0)
    FROM sessions
    UNION ALL
    SELECT at, 0, 0, 0, 0 FROM minutes
),
running AS (
    SELECT at,
           SUM(SUM(active)) OVER up_to AS active,
           SUM(SUM(opened_at)) OVER up_to AS opened_at,
           SUM(SUM(completed)) OVER up_to AS completed,
           SUM(SUM(duration)) OVER up_to AS duration
    FROM changes GROUP BY at
    WINDOW up_to AS (ORDER BY at)
)
SELECT at AS timestamp,
       active AS active_sessions_count,
       completed AS completed_sessions_count,
       duration AS completed_duration_ms,
       iif(completed > 0, (2 * duration + completed) / (2 * completed), NULL) AS average_session_duration,
       iif(active > 0, (2 * (active * at - opened_at) + active) / (2 * active), NULL) AS average_active_age
FROM running JOIN minutes USING (at)
