"""A real Kubernetes cluster everywhere: an explicit KUBECONFIG, kind, or a single node from source.

Standard library only: it runs on a fresh machine before any Python environment exists.
"""
