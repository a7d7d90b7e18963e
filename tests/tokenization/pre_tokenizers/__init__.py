"""Tests of the pre-tokenisers."""
