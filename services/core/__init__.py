"""What every service shares: messages, errors, metrics, settings."""
