"""Sockets and addresses: UDP in batches, TCP, DNS. Hands bytes up to the node; knows nothing of routing."""
