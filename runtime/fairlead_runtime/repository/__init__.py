"""Brings a model from its URI into a directory, checked, or says why it cannot."""
