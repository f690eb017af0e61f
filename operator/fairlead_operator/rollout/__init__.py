"""Which revision has the address and what comes next: pure decisions over a snapshot and `now`."""
