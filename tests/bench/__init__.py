"""The project's own figures (`make bench`): tables, never a verdict. Processor time, not wall time."""
