"""NumPy rasters that become Textual strips. Knows no Textual app and no TensorBoard log."""
