{{ staged('customer_events', 'content_play', ['user_id', 'media_id', 'title', 'content_type', 'genre', 'device_type', 'country', 'watch_seconds', 'duration_seconds'], kind_column='event_type') }}
