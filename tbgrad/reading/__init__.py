"""From event files to runs: in bounded memory, through damage, while they are written."""
