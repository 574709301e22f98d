"""Script languages: each turns a file into routes; none knows another."""
