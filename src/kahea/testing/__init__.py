"""The real engine on a virtual clock and a virtual network, for tests of routing scripts."""
