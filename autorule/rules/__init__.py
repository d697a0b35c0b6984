"""A rule set, and all that is done to one without a model."""
