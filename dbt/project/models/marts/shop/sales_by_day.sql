{{ sold_by('day', 'daily') }}
