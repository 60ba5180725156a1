-- movie_statistics over views, `cart_parts`, `movie_sale_lines` and ratings. A view counts once per
-- record, an add once however often it was said, a user's latest rating of a movie counts.
WITH latest_first AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id, item_id ORDER BY timestamp DESC, rating DESC) AS n
    FROM rating_events WHERE NOT late
),
adds AS (
    SELECT DISTINCT cart_id, user_id, item_id, timestamp FROM cart_parts WHERE event_name = 'added_to_cart'
),
facts(movie_id, views, adds, units, sales, ratings, stars) AS (
    SELECT item_id, 1, 0, 0, 0, 0, 0 FROM item_view_events WHERE NOT late
    UNION ALL
    SELECT item_id, 0, 1, 0, 0, 0, 0 FROM adds
    UNION ALL
    SELECT movie_id, 0, 0, 1, coalesce(purchase_amount, 0), 0, 0 FROM movie_sale_lines
    UNION ALL
    SELECT item_id, 0, 0, 0, 0, 1, rating FROM latest_first WHERE n = 1
)
SELECT movie_id,
       SUM(views) AS views,
       SUM(adds) AS adds,
       SUM(units) AS units_sold,
       SUM(sales) AS total_sales,
       SUM(ratings) AS ratings,
       iif(SUM(ratings) > 0, (2000 * SUM(stars) + SUM(ratings)) / (2 * SUM(ratings)), NULL) AS average_rating
FROM facts
GROUP BY movie_id
