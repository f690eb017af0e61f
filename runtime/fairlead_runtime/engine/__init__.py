"""Runs a model: the one place that knows onnxruntime."""
