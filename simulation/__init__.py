"""Days of faults in seconds: the real service, with time, tools and people simulated.

`python -m simulation` is the command; docs/evidence/reliability.md describes what it proves. A run
is a history (`history`) carried out (`run`) at the service's entry points (`entry_points`), with
workers that die and freeze (`crew`) and tools that misbehave (`tools`), compared with an oracle
that knows only the people (`oracle`).
"""
