"""Split traffic, purely: slot table, weights, Envoy's whole configuration, an address's states."""
