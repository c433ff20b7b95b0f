"""Inform people of new versions of the privacy policy."""
