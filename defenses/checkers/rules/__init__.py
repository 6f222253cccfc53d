"""Rules on syntax trees, for every language but Python. `checker` is the way in."""
