"""Manifest repositories and pull requests."""
