"""What a run leaves, and what it may spend."""
