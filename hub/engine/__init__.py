"""Where predictions run: on this machine, or (later) on a cluster. No TensorFlow in here."""
