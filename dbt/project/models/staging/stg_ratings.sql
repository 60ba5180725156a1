{{ staged('rating_events', 'item_rating', ['user_id', 'item_id', 'rating']) }}
