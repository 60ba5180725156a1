{{ staged('customer_events', 'browse', ['user_id', 'device_type', 'country'], kind_column='event_type') }}
