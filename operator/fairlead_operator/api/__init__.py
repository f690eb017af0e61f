"""What users write and read: the resources' models, their reasons, and the CRDs made from them."""
