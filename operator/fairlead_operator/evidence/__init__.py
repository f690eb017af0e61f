"""Evidence: what routers and model pods counted, read from them and added up."""
