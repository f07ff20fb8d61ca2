"""Who may talk to whom. Pure functions over the policy document and the tailnet."""
