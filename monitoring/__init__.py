"""What is generated for monitoring: the page of all metrics, dashboards, alerts."""
