-- Visits with an event since an instant, half an hour before the watermark: how many, with a full cart, and that bought.
SELECT COUNT(*) AS sessions,
       COALESCE(SUM(CASE WHEN carts > 0 AND purchases = 0 THEN 1 ELSE 0 END), 0) AS with_cart,
       COALESCE(SUM(CASE WHEN purchases > 0 THEN 1 ELSE 0 END), 0) AS bought
FROM visits
WHERE ended > :recent
