"""The command groups of ``raxx-bcp``, one module a group; ``raxx_bcp.cli`` assembles them."""
