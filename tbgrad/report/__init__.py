"""What is wrong in a log, and how its runs went: collected, and printed."""
