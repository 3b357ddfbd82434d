"""What a run that was read came to: its alerts and what began them, its line, its verdict."""
