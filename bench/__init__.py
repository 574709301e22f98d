"""CPU time per call, side by side with Kamailio: `python -m bench`, or `make bench`."""
