"""May this be sent to that address? The rules, the API that answers, and filters for senders."""
