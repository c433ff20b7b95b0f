-- An example of a report: opt-outs by day, scope and source.
select
    date_trunc('day', occurred_at at time zone 'UTC') as day,
    scope,
    source,
    count(distinct id) as opt_outs
from {{ ref('feed_rows') }}
where kind = 'opted_out'
group by all
