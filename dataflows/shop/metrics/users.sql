-- users over all registrations, late ones too.
WITH registrations AS (
    SELECT * FROM consumer_events WHERE event_name = 'consumer_registration'
)
SELECT DISTINCT user_id,
       MIN(timestamp) OVER (PARTITION BY user_id) AS registered_at,
       FIRST_VALUE(age) OVER latest_first AS age,
       FIRST_VALUE(masked_email) OVER latest_first AS masked_email,
       FIRST_VALUE(preferred_language) OVER latest_first AS preferred_language
FROM registrations
WINDOW latest_first AS (
    PARTITION BY user_id ORDER BY timestamp DESC, age DESC, masked_email DESC, preferred_language DESC
)
