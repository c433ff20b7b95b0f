"""Take a request from opening to its answer, step by step."""
