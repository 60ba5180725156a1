-- One row per day with a visit that began then, over all categories: how far visits went, each counted once.
SELECT day, visits, viewed, carted, purchased, purchased_without_cart, carted_rate, purchased_rate, whole_rate
FROM daily_funnel
