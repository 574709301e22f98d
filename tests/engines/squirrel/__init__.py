"""Squirrel compared with the real machines."""
