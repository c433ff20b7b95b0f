"""The choice of cookies per browser, and the signal that a browser sends."""
