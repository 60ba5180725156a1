select segment, cast(count(*) as bigint) as users, cast(sum(spend) as decimal(18,2)) as spend
from {{ ref('user_segmentation') }}
group by 1
