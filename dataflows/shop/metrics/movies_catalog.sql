-- movies_catalog over all catalog versions. A version that repeats the content of the one before it is not a version.
WITH versions AS (
    SELECT *,
           json_array(title, price, price_reason, list_price_raw, product_group, binding, genre, studio, brand,
                      release_date, audience_rating, running_time, directors, actors, languages, attributes) AS content,
           ROW_NUMBER() OVER (
               PARTITION BY item_id
               ORDER BY effective_at, timestamp, title, price, price_reason, list_price_raw, product_group, binding,
                        genre, studio, brand, release_date, audience_rating, running_time, directors, actors,
                        languages, attributes
           ) AS n
    FROM catalog_events
),
changes AS (
    SELECT later.*, ROW_NUMBER() OVER (PARTITION BY later.item_id ORDER BY later.n DESC) AS from_last
    FROM versions AS later
    LEFT JOIN versions AS earlier ON earlier.item_id = later.item_id AND earlier.n = later.n - 1
    WHERE earlier.content IS NOT later.content
)
SELECT item_id, timestamp, title, price, price_reason, list_price_raw, product_group, binding, genre, studio, brand,
       release_date, audience_rating, running_time, directors, actors, languages, attributes
FROM changes
WHERE from_last = 1
