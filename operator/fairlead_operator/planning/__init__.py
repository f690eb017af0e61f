"""From a spec to manifests: names, labels, the revision's identity, its children, differences."""
