"""The feed of changes: its order, its readers, and publishers to files and Kafka."""
