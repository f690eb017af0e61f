"""The `profile` tool: reads training rows, runs the model on them, and writes what drift needs."""
