"""A real Kubernetes API server, without nodes, that is asked what it thinks of the chart."""
