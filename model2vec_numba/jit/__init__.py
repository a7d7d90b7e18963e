"""How kernels are compiled and cached, and the machine instructions that they share."""
