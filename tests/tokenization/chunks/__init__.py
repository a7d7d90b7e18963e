"""Tests of the look-up tables."""
