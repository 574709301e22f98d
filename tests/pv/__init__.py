"""Tests of pseudo-variables, transformations and the script's lists."""
