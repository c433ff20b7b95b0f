"""Days of faults in seconds: the real service, with time, tools and people simulated.

`python -m simulation` is the command; docs/reliability.md says what it proves. A run is a
history (`history`) carried out (`run`) at the service's own doors (`doors`), with workers
that die and freeze (`crew`) and tools that misbehave (`tools`), held against an oracle that
knows the people only (`oracle`).
"""
