"""The model of the catalogue and its checks: pure."""
