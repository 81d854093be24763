"""The verbs, one file each: the only place where the hub decides anything. No web framework, no TensorFlow."""
