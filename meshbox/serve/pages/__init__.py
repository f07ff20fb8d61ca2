"""Pages for people: one module per page."""
