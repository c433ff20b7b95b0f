"""The steps of a request, from opening to its answer."""
