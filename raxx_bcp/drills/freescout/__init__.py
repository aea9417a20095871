"""D4: FreeScout restored, Tier 1 from a snapshot of its instance and Tier 2 from a dump set, and examined."""
