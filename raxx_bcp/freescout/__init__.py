"""The help desk's dump sets: made on its own host, inventoried here. What restores them is ``drills/freescout``."""
