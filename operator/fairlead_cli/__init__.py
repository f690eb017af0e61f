"""The command line, `kubectl fairlead` or `fairlead`: for people and scripts, on top of the API."""
