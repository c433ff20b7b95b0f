"""Scrubbing lists: which of ten million rows may be sent this message?

The same decisions as `POST /v1/decisions`, by one SQL over a snapshot: `scrubbing.scrub` and
`snapshots.make` are all a door needs. Engines are `duck` on one machine and `spark` on a
cluster. Import them late: DuckDB costs a process 34 MB, and web workers have no use for it.
"""
