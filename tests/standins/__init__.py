"""Local stand-ins for what the product talks to."""
