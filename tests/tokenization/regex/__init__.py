"""Tests of the automata for regular expressions."""
