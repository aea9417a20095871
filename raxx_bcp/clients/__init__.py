"""The clients to outside systems: each module knows one protocol, none knows Dagster or a room."""
