-- Every row of every file since the newest snapshot: older ones may be of a history that was lost.
with files as (
    select * from read_parquet('{{ var("feed_files") }}', union_by_name = true)
),

newest_snapshot as (
    select max(exported_at) as exported_at from files where type = 'status'
)

select files.*
from files
cross join newest_snapshot
where newest_snapshot.exported_at is null
    or files.exported_at >= newest_snapshot.exported_at
