"""Inform everyone active of a new version of the privacy policy, each person once.

`select` writes down whom; the rows leave by a stream, a CSV file or the company's webhook
(`rows`, `webhooks`). This service sends no notice itself.
"""
