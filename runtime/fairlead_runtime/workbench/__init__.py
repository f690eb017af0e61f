"""What the model tools stand on: models and data from files, made-up inputs, timing."""
