"""The runtime: fetches a model, serves it over HTTP, and counts what it does."""

import os

# onnxruntime's wheels for Linux send usage data to their maker, and keep a device's id in the home
# folder and a session file in the temporary one. A pod that serves a model has no business to. It
# reads this before it is first imported; who wants it all the same sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
