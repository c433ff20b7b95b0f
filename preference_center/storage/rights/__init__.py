"""The SQL of data-subject requests, erasures, holds and retention."""
