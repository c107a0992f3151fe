"""What the Makefile starts: plain Python, standard library alone."""
