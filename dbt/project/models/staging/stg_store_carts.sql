{{ staged_of_store('cart') }}
