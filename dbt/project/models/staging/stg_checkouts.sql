{{ staged('cart_events', 'checkout_to_cart', ['user_id', 'cart_id', 'payment_method']) }}
