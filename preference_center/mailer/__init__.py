"""Email that the service itself sends."""
