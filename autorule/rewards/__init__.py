"""Verdicts turned into rewards."""
