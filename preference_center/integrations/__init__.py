"""One file per tool; no database, no Flask, no RQ."""
