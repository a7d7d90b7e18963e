"""Byte-pair encoding (BPE)."""
