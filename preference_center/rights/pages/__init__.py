"""The pages of rights, `/rights/`, and of a request's status."""
