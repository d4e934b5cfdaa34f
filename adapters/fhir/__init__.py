"""The FHIR R4 surface: foreign resources to service words and back."""
