"""Opt-outs and requests in mail and text messages, and the review of what is not certain."""
