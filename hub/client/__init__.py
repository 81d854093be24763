"""The light SDK: talks to a hub over HTTP. No TensorFlow, no server packages."""
