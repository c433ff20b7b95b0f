"""The state that a tool should reflect, the plan of a push, the classification of reports. Pure."""
