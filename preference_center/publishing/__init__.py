"""Passing the feed on: to a topic of Kafka, and to files for a warehouse."""
