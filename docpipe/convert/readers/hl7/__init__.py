"""Messages of HL7 v2."""
