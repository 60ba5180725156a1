-- active_sessions over `sessions`: neither signed out of, nor timed out at the watermark.
SELECT user_id, opened_at AS signed_in_at
FROM sessions
WHERE closed_at IS NULL AND ended_at > :watermark
