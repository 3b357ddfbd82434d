"""What every monitor of a training shares, whatever framework it watches."""
