-- The sessions of the sign events that are not late. :session_timeout_ms is longer than all of time
-- where sessions never time out.
WITH RECURSIVE
signs AS (
    SELECT DISTINCT user_id, timestamp AS at, event_name = 'sign_in' AS is_in FROM consumer_events
    WHERE event_name IN ('sign_in', 'sign_out') AND NOT late
),
ordered AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY at, is_in) AS n FROM signs
),
-- After each event of a user: the session that is open, and the one that the event closed.
walk AS (
    SELECT user_id, n, at, iif(is_in, at, NULL) AS opened_at, NULL AS closed FROM ordered WHERE n = 1
    UNION ALL
    SELECT next.user_id, next.n, next.at,
           CASE WHEN next.is_in
                THEN iif(next.at < walk.opened_at + :session_timeout_ms, walk.opened_at, next.at) END,
           CASE WHEN NOT next.is_in AND next.at <= walk.opened_at + :session_timeout_ms THEN walk.opened_at END
    FROM walk JOIN ordered AS next ON next.user_id = walk.user_id AND next.n = walk.n + 1
),
opened AS (
    SELECT DISTINCT user_id, opened_at FROM walk WHERE opened_at IS NOT NULL
)
SELECT opened.user_id,
       opened.opened_at,
       walk.at AS closed_at,
       coalesce(walk.at, opened.opened_at + :session_timeout_ms) AS ended_at
FROM opened LEFT JOIN walk ON walk.user_id = opened.user_id AND walk.closed = opened.opened_at
