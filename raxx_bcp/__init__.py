"""raxx-bcp: the backups of ADR-0103, taken, checked and proved to restore."""

__version__ = "0.1.0"
