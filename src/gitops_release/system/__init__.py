"""What adapters share to touch the outside: HTTP, processes, private files, redaction."""
