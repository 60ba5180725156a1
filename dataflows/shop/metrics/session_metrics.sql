-- session_metrics over `sessions`: the state of all sessions at each minute boundary at which there is news.
WITH RECURSIVE
signs AS (
    SELECT MAX(timestamp) AS last FROM consumer_events WHERE event_name IN ('sign_in', 'sign_out') AND NOT late
),
bounds AS (
    SELECT CASE WHEN :whole_input THEN min((:watermark + 59999) / 60000, (last + 59999) / 60000) * 60000
                ELSE :watermark / 60000 * 60000 END AS last
    FROM signs WHERE last IS NOT NULL
),
-- A session is active at a boundary m if opened_at <= m < ended_at, and completed if closed_at <= m.
changes AS (
    SELECT (opened_at + 59999) / 60000 * 60000 AS at, 1 AS active, opened_at, 0 AS completed, 0 AS duration
    FROM sessions
    UNION ALL
    SELECT (ended_at + 59999) / 60000 * 60000, -1, -opened_at, closed_at IS NOT NULL, coalesce(closed_at - opened_at, 0)
    FROM sessions
),
-- Nothing but ages differs from one of these boundaries to the next.
running AS (
    SELECT at,
           SUM(SUM(active)) OVER up_to AS active,
           SUM(SUM(opened_at)) OVER up_to AS opened_at,
           SUM(SUM(completed)) OVER up_to AS completed,
           SUM(SUM(duration)) OVER up_to AS duration
    FROM changes GROUP BY at
    WINDOW up_to AS (ORDER BY at)
),
-- At the boundary before, what stood since the change before.
beside AS (
    SELECT *,
           lag(active, 1, 0) OVER by_time AS active_before,
           lag(completed, 1, 0) OVER by_time AS completed_before,
           lead(at) OVER by_time AS next
    FROM running
    WINDOW by_time AS (ORDER BY at)
),
-- News is a session that is active, now or at the boundary before, or one that was completed.
news AS (
    SELECT at, active, opened_at, completed, duration, min(coalesce(next - 60000, bounds.last), bounds.last) AS until
    FROM beside, bounds
    WHERE at <= bounds.last AND (active > 0 OR active <> active_before OR completed <> completed_before)
    UNION ALL
    SELECT at + 60000, active, opened_at, completed, duration, until FROM news WHERE active > 0 AND at < until
)
SELECT at AS timestamp,
       active AS active_sessions_count,
       completed AS completed_sessions_count,
       duration AS completed_duration_ms,
       iif(completed > 0, (2 * duration + completed) / (2 * completed), NULL) AS average_session_duration,
       iif(active > 0, (2 * (active * at - opened_at) + active) / (2 * active), NULL) AS average_active_age
FROM news
