"""Statistics of judging: arrays in, named results out. Knows nothing of `judge`."""
