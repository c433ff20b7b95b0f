"""Mail sent and received: the outbox, bounces, bursts and mails under review."""
