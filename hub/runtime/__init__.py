"""Inside a worker: where TensorFlow lives. ``orders``, ``devices``, ``journal`` and ``limits`` are free of it."""
