"""The reward server: `autorule serve`."""
