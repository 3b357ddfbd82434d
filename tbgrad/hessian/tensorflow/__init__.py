"""Operators on the variables of a loss in TensorFlow."""
