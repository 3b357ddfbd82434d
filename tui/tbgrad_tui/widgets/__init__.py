"""The panels: each one draws itself from a run on a canvas of its own."""
