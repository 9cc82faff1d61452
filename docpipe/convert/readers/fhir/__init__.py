"""FHIR resources in JSON, NDJSON and XML."""
