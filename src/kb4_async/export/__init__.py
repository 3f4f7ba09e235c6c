"""Whole accounts, written to disk: runner and manifest."""
