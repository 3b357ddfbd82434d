"""Where TensorFlow and Keras are imported, and nowhere else: observe, compute, write."""

from tbgrad.keras.supported import check_installed

check_installed()
