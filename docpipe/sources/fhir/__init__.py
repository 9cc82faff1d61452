"""FHIR R4 as a source: IHE MHD (ITI-67, ITI-68) and Bulk Data export."""
