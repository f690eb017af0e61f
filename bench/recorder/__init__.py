"""What the recorder takes in a second, beside what its database could take by itself."""
