"""Scrub lists: which of ten million rows may be sent this message?

The same decisions as `POST /v1/decisions`, by one SQL statement over a snapshot. The entry points
are `scrub_list.scrub_list` and `snapshots.create_snapshot`; engines are `duck` on one machine and
`spark` on a cluster. Import them late: DuckDB needs 34 MB, and web workers do not use it.
"""
