"""An experiment: build the parts once, skip what is done, compute the rest, record it."""
