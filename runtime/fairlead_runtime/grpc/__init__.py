"""The gRPC edge: the Open Inference Protocol v2, health and reflection."""
