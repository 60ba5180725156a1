{# The commit that everything here is of; a table of the package, which is no model. #}
select
    epoch,
    committed_at,
    {{ dbt_deltamart.watermark_of('shop') }} as shop_watermark,
    {{ dbt_deltamart.watermark_of('store_events') }} as store_watermark,
    {{ dbt_deltamart.watermark_of('customer_events') }} as media_watermark
from {{ dbt_deltamart.own('deltamart_commit') }}
