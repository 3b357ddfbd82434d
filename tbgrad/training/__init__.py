"""Where TensorFlow and Keras are imported, and nowhere else: observe, compute, write."""
