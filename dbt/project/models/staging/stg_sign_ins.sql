{{ staged('consumer_events', 'sign_in', ['user_id']) }}
