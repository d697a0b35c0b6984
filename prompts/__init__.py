"""Prompt files; see README.md in this folder."""
