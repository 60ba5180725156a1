{{ staged_of_store('remove_from_cart') }}
