"""One registry interface: the table of kinds and their data plane."""
