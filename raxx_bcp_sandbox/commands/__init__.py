"""``raxx-bcp demo`` and ``raxx-bcp sandbox``: loaded by name, only where the sandbox is installed."""
