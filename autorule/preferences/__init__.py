"""Preference data in any common layout, read as PreferencePair records."""
