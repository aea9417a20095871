"""A stand-in for Heroku's Platform API and Data API on one port, with real PostgreSQL behind it."""
