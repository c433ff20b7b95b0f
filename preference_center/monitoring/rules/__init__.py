"""What somebody must learn of: conditions on what was measured, and the words of notices."""
