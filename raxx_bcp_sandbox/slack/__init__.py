"""A stand-in for Slack: it accepts messages as the real one does, stores them, and shows them on a page."""
