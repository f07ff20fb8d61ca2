"""Certificates from an authority: got, kept, renewed, while the server serves."""

from meshbox.serve.acme.challenges import Challenges
from meshbox.serve.acme.keeper import Keeper, Plan, plan_of
from meshbox.serve.acme.shelf import Shelf

__all__ = ["Challenges", "Keeper", "Plan", "Shelf", "plan_of"]
