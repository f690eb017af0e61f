"""Requests that run together: a pure plan, what the model allows, and the queue."""
