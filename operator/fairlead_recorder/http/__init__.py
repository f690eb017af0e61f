"""The recorder's interface: outcomes and registrations in, summaries out; exposures by OTLP.

`wire` says what goes over it, `access` and `rates` who may and how often, `routes` and `ingest` are
the handlers, `upkeep` what is done from time to time, `server` the two ports.
"""
