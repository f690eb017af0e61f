"""Counts what the model sees and answers, in the bins of a profile, beside the predictions."""
