"""The examination of an installation: facts are gathered, then judged without a cluster."""
