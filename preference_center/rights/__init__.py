"""Handle data-subject requests, of agents and minors too, with erasure, holds and retention."""
