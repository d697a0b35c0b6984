"""A run as one HTML page that opens from disk, with its plots beside it."""
