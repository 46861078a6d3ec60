"""What one process does to stay alive and heard: signals, streams, the watch over hangs, progress. Knows no result."""
