"""The only room that talks to the Kubernetes API: requests, the watch cache, the Lease, Events."""
