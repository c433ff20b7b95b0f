"""What the service measures of itself: metrics, alerts, probes, the board."""
