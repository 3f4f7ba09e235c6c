"""The SCIM 2.0 client and the bulk writer."""
