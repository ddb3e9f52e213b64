"""Rebuilding projections: another generation of their rows beside the live one, proved equal, and put in its place by one row."""
