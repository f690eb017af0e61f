"""What operator, router and runtime agree on: names, headers, and which arm a user gets."""
