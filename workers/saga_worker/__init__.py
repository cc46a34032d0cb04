"""The worker of the saga engine: the only place that calls services."""
