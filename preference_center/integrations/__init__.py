"""One folder or file per connected tool; no database, no Flask, no RQ."""
