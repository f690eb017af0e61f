"""The runtime: fetches a model, serves it over HTTP, and counts what it does."""
