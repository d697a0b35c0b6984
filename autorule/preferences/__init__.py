"""Every file that people bring: preference pairs in any common layout, and completions to score."""
