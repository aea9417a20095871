"""A Slack that takes messages as the real one does, keeps them, and shows them on a page."""
