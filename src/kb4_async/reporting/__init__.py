"""The read-only Reporting API."""
