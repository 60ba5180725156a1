-- One row per day with a search: how often users searched, and how often they played something then.
SELECT date_trunc('day', s.timestamp) AS day,                               -- The day, UTC.
       count(*) AS searches,                                                -- How often something was searched for.
       count(DISTINCT s.user_id) AS searchers,                              -- By how many users.
       count(*) FILTER (WHERE EXISTS (
           SELECT 1 FROM customer_events p
           WHERE p.user_id = s.user_id AND p.event_type = 'content_play'
             AND p.timestamp >= s.timestamp AND p.timestamp < s.timestamp + interval '30 minutes'
       )) AS followed_by_a_play,                                            -- Of them, those after which the user played something within 30 minutes.
       round(count(*) FILTER (WHERE EXISTS (
           SELECT 1 FROM customer_events p
           WHERE p.user_id = s.user_id AND p.event_type = 'content_play'
             AND p.timestamp >= s.timestamp AND p.timestamp < s.timestamp + interval '30 minutes'
       )) / count(*), 3) AS success_rate                                    -- Their share of all searches.
FROM customer_events s
WHERE s.event_type = 'search'
GROUP BY day
