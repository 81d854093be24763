"""Reads SavedModels without TensorFlow: what they hold, whether they are whole, and what they would do.

Laws: nothing here imports TensorFlow or runs a model; hostile and broken content gives findings, never a traceback;
memory and time grow with the content, with bounds in ``limits``.
"""
