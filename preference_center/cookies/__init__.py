"""Record the choice of cookies per browser, and follow the signal that a browser sends."""
