"""Tests of kahea.testing."""
