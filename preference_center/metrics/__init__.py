"""Metrics for Prometheus: `instruments` counts where something happens, `exposition` returns it.

Every label takes its values from a closed set: an enumeration, the names of routes and of
destinations. So none can hold an address or a token (I12). docs/monitoring.md lists them.
"""
