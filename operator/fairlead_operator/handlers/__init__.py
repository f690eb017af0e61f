"""The edges: Kopf's watches, which only enqueue, and the ports for probes and metrics."""
