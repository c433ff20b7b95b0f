"""Tables and queries; returns domain values. The database is the only truth."""
