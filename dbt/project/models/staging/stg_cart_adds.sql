{{ staged('cart_events', 'added_to_cart', ['user_id', 'cart_id', 'item_id']) }}
