"""Tests of the transaction layer, written with kahea.testing."""
