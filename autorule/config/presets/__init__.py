"""Presets: settings files that ship with autorule."""
