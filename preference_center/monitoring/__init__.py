"""What the service measures of itself: gauges, alerts, probes, the board."""
