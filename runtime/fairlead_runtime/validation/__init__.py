"""Decides whether a model may be served: it measures, then judges, then reports."""
