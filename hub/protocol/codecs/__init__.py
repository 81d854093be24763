"""How tensors travel in the public prediction protocols: bodies to :class:`~hub.protocol.frames.Tensor` and back."""
