{{ staged_of_store('view') }}
