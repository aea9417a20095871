"""A stand-in for a self-hosted Infisical: the same answers, from memory, on loopback only."""
