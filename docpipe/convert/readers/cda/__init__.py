"""CDA documents, and the times of HL7 that other formats have too."""
