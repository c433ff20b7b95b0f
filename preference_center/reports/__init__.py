"""Counts per day for staff, and the reports made of them."""
