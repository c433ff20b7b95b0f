"""Whether a message may be sent to an address: the rules, the API, and filters for senders."""
