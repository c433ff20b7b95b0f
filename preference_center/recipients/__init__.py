"""What recipients do: unsubscribe, choose topics, ask for a link, see the status of an opt-out."""
