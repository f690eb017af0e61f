"""One pass over one ModelDeployment, the queue that orders passes, and the resync behind it."""
