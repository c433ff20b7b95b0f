"""Scrub on one machine, with DuckDB.

The list is read three times: to find the rows that a fact may concern, and to write the clean and
the removed rows. A CSV file is processed by lines, which are written unchanged, so the clean list
is the list without some of its lines, byte for byte and in their order.
"""

from preference_center.scrub.duck.connection import ENGINE, ScrubError
from preference_center.scrub.duck.run import scrub_with_duckdb

__all__ = ["ENGINE", "ScrubError", "scrub_with_duckdb"]
