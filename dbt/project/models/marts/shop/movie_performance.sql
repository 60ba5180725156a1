select
    m.movie_id,
    c.title,
    c.genre,
    c.studio,
    c.price,
    m.views,
    m.adds,
    m.units_sold,
    m.total_sales,
    m.ratings,
    m.average_rating as average_user_rating,
    {{ share('m.adds', 'm.views') }} as adds_per_view,
    {{ share('m.units_sold', 'm.adds') }} as units_per_add
from {{ ref('dbt_deltamart', 'movie_statistics') }} as m
left join {{ ref('dbt_deltamart', 'movies_catalog') }} as c on c.item_id = m.movie_id
