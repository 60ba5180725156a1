-- Of the visits that began in a period: how many viewed, put something into the cart then, bought something then.
SELECT SUM(visits) AS visits, SUM(viewed) AS viewed, SUM(carted) AS carted, SUM(purchased) AS purchased
FROM daily_funnel
WHERE day >= :from AND day < :until
