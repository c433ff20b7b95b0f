"""These rules compute states, plans and promises of destinations; they are pure."""
