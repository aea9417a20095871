"""A stand-in for a self-hosted Infisical: it gives the same answers, from memory, on loopback only."""
