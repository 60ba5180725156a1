{{ staged('cart_events', 'purchase', ['user_id', 'item_id', 'purchase_amount']) }}
