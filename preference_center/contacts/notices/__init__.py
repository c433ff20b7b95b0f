"""Notices about new versions of the privacy policy."""
