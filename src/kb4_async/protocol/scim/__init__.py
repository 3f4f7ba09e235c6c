"""SCIM 2.0, as far as it is decided without I/O: resources, filters, differences, plans."""
