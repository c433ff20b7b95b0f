"""For development and tests only: never imported by the service or its workers."""
