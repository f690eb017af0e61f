"""The operator: reconciles ModelDeployments into Deployments, Services, HPAs and their status."""
