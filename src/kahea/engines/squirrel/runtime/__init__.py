"""What compiled scripts run on: their values, the operators where types are not known, and the built-in functions."""
