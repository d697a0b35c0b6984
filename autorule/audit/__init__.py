"""Can the reward be had without earning it? Before training (canaries) and after it (the log of a run)."""
