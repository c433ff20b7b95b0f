"""A request from its opening to its answer: identity, steps, emails, files, agents."""
