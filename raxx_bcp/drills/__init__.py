"""D4: restore drills. ``engine`` is what all share; one package for each system says what it restores and checks."""
