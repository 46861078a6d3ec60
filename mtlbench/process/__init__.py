"""Process management: signals, streams, detection of hangs, progress callbacks. Independent of results."""
