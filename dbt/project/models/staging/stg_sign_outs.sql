{{ staged('consumer_events', 'sign_out', ['user_id']) }}
