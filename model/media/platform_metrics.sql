-- One row per device type, country and hour with an event: how the service is used there.
SELECT device_type,                                                         -- The kind of device.
       country,                                                             -- The country.
       date_trunc('hour', timestamp) AS hour,                               -- The hour, UTC.
       count(*) AS events,                                                  -- How many events.
       count(DISTINCT user_id) AS users                                     -- Of how many users.
FROM customer_events
GROUP BY device_type, country, hour
