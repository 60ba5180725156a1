-- One row per day and category with a visit that began then: how far visits went.
SELECT date_trunc('day', started) AS day,                                                 -- The day, UTC.
       category,                                                            -- Which category.
       count(*) AS visits,                                                  -- How many visits.
       count(*) FILTER (WHERE reached >= 1) AS viewed,                      -- How many viewed something.
       count(*) FILTER (WHERE reached >= 2) AS carted,                      -- How many put something into the cart then.
       count(*) FILTER (WHERE reached >= 3) AS purchased,                   -- How many bought something then.
       count(*) FILTER (WHERE purchases > 0 AND carts = 0) AS purchased_without_cart,  -- How many bought, and carted nothing.
       round(count(*) FILTER (WHERE reached >= 2)
             / nullif(count(*) FILTER (WHERE reached >= 1), 0), 3) AS carted_rate,     -- Carted of viewed.
       round(count(*) FILTER (WHERE reached >= 3)
             / nullif(count(*) FILTER (WHERE reached >= 2), 0), 3) AS purchased_rate,  -- Purchased of carted.
       round(count(*) FILTER (WHERE reached >= 3)
             / nullif(count(*) FILTER (WHERE reached >= 1), 0), 3) AS whole_rate       -- Purchased of viewed.
FROM category_visits
GROUP BY day, category
