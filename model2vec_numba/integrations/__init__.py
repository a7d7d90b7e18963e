"""Integrations with other libraries, based on Arrow. Each module imports only the library that it is for."""
