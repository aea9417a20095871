"""Modules that are sent to a restored host and run there: Python 3.10 and its standard library only."""
