"""Counts what the runtime does, under the names that dashboards already know."""
