"""Throwaway instances: made, silent, isolated, and asked over SSH. Knows no system."""
