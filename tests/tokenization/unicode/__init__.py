"""Tests of the tables of code points."""
