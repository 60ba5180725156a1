{{ staged('customer_events', 'search', ['user_id', 'query', 'device_type', 'country'], kind_column='event_type') }}
