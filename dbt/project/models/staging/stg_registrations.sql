{{ staged('consumer_events', 'consumer_registration', ['user_id', 'age', 'masked_email', 'preferred_language']) }}
