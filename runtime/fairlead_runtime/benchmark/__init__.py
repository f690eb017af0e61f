"""Measures a model over threads and batch sizes, and recommends a setting for a latency limit."""
