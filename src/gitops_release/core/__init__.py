"""Values, errors, plans and ports: pure, without input, output, clock or third-party code."""
