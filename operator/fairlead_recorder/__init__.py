"""The recorder: takes exposures and outcomes of experiments, and keeps sums that statistics take.

`store` keeps events and sums in SQLite or PostgreSQL, `http` is its interface, `cli` the program.
"""
