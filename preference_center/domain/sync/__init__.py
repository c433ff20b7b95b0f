"""Rules of synchronization: what to push, what a result means, what a tool's report means."""
