-- How each scope of each address stands: the newest row of it. Who was erased has no address, and
-- no consent or frequency from before.
with ranked as (
    select
        *,
        row_number() over (
            partition by ref, scope order by exported_at desc, position desc
        ) as age_in_scope,
        first_value(address) over (
            partition by ref order by exported_at desc, position desc
        ) as newest_address
    from {{ ref('feed_rows') }}
),

erased as (
    select ref, max(counts_at) as erased_at
    from {{ ref('feed_rows') }}
    where kind = 'erased'
    group by ref
)

select
    ranked.ref,
    ranked.scope,
    ranked.channel,
    ranked.digest,
    ranked.newest_address as address,
    ranked."off" as is_off,
    ranked.out_at,
    ranked.out_reason,
    ranked.lifted_at,
    ranked.pause_at,
    ranked.pause_until,
    case when ranked.consent_at > coalesce(erased.erased_at, timestamptz '-infinity')
        then ranked.consent_at end as consent_at,
    case when ranked.frequency_at > coalesce(erased.erased_at, timestamptz '-infinity')
        then ranked.frequency end as frequency
from ranked
left join erased on erased.ref = ranked.ref
where ranked.age_in_scope = 1
    and (ranked."off" or coalesce(
        ranked.out_at, ranked.lifted_at, ranked.pause_at, ranked.consent_at, ranked.frequency_at
    ) is not null)
