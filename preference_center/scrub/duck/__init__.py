"""Scrubbing on one machine, with DuckDB.

The list is read three times: to find the rows that a fact may concern, and to write what may
be sent to, and what not. A CSV file goes line by line and its lines are written as they are, so
the clean list is the list without some of its lines, octet for octet and in their order.
"""

from preference_center.scrub.duck.connection import ENGINE, ScrubError
from preference_center.scrub.duck.run import scrub_with_duckdb

__all__ = ["ENGINE", "ScrubError", "scrub_with_duckdb"]
