"""What operator, router and runtime agree on: names of metrics and of HTTP headers."""
