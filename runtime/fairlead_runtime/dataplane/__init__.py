"""Use cases of a served model, free of any protocol: loading, readiness, prediction, counting."""
