"""FHIR R4 as a place that documents come from: HL7 bulk-data, and IHE MHD (ITI-67, ITI-68)."""

from docpipe.sources.fhir.exchange import FhirExchange
from docpipe.sources.fhir.wire import Wire

__all__ = ["FhirExchange", "Wire"]
