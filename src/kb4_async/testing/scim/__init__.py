"""SCIM 2.0 as a simulated account speaks it, beside its Reporting API."""
