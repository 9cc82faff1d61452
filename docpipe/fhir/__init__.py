"""FHIR R4 as a place that documents come from: HL7 bulk-data, and IHE MHD (ITI-67, ITI-68)."""

from docpipe.fhir.exchange import FhirExchange
from docpipe.fhir.wire import Wire

__all__ = ["FhirExchange", "Wire"]
