"""How much rules are worth on held-out preferences."""
