"""Notices of new versions of the privacy policy."""
