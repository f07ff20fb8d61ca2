"""The administration API: one module per resource."""
