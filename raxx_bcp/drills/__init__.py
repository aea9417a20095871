"""D4: restore drills. ``drill.py`` is what every drill shares; one module a drill says what is restored and checked."""
