"""A local Raxx on loopback. Nothing in here is imported by product code."""
