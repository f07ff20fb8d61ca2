"""Policies that were really posted to the hosted control plane, and what it answered."""
