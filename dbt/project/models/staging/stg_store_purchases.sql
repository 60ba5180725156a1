{{ staged_of_store('purchase') }}
