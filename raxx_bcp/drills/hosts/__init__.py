"""Throwaway instances: make them, silence them, isolate them, and ask them over SSH. Knows no system."""
