"""Encode without compiled code, while another process compiles the kernels."""
