"""Following the ledger: watermarks, pages of changes and snapshots."""
