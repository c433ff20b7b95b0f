"""The pages of recipients: unsubscribe, preferences, status of an opt-out."""
