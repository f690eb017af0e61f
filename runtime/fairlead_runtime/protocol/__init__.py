"""Requests and answers as bytes and as tensors: the inference protocol and the simple API."""
