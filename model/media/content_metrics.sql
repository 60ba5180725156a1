-- One row per title and day with a play: who watched it, and how much of it.
SELECT date_trunc('day', timestamp) AS day,                                 -- The day, UTC.
       media_id,                                                            -- Which title.
       max_by(title, timestamp) AS content_title,                                   -- What it is called, by the day's last play.
       count(*) AS plays,                                                   -- How often it was played.
       count(DISTINCT user_id) AS viewers,                                  -- By how many users.
       coalesce(sum(watch_seconds), 0) AS watched_seconds,                  -- How long it was watched, in seconds.
       round(sum(watch_seconds) FILTER (WHERE duration_seconds > 0)
             / nullif(sum(duration_seconds) FILTER (WHERE watch_seconds IS NOT NULL), 0), 3) AS completion_rate -- Watched of what was played, of plays that say both.
FROM customer_events
WHERE event_type = 'content_play'
GROUP BY day, media_id
