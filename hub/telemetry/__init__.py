"""What a running hub says about itself: logs and metrics."""
