{{ sold_by('week', 'weekly') }}
