{{ staged('item_view_events', 'item_view', ['user_id', 'item_id']) }}
