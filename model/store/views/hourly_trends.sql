-- One row per hour with an event, of the 48 hours to the watermark: what was done, and how much more than in the same hour a
-- day before.
SELECT this.hour, this.page_views, this.add_to_carts, this.purchases, this.revenue, this.customers,
       this.page_views - coalesce(earlier.page_views, 0) AS page_views_change,
       this.add_to_carts - coalesce(earlier.add_to_carts, 0) AS add_to_carts_change,
       this.purchases - coalesce(earlier.purchases, 0) AS purchases_change,
       round(this.revenue - coalesce(earlier.revenue, 0), 2) AS revenue_change,
       this.customers - coalesce(earlier.customers, 0) AS customers_change
FROM hourly_activity AS this
LEFT JOIN hourly_activity AS earlier ON earlier.hour = this.hour - interval '24 hours'
WHERE this.hour > watermark() - interval '48 hours' AND this.hour <= watermark()
