"""What the common segments and fields of HL7 v2 are called; others are called by number."""

from typing import Final

SEGMENTS: Final = {
    "MSH": "Message", "EVN": "Event", "PID": "Patient", "PD1": "Patient, more", "NK1": "Next of kin",
    "PV1": "Visit", "PV2": "Visit, more", "AL1": "Allergies", "IAM": "Allergies", "DG1": "Diagnoses",
    "PR1": "Procedures", "GT1": "Guarantor", "IN1": "Insurance", "IN2": "Insurance, more", "ORC": "Order",
    "OBR": "Observation request", "OBX": "Results", "NTE": "Notes", "TXA": "Document",
    "RXA": "Administrations",
    "RXO": "Pharmacy order", "RXE": "Pharmacy order, encoded", "RXD": "Dispense", "RXR": "Route",
    "SPM": "Specimen", "SCH": "Appointment", "AIS": "Service", "AIG": "Resource", "AIL": "Location",
    "AIP": "Personnel", "RGS": "Resource group", "MSA": "Acknowledgement", "ERR": "Errors", "FT1": "Charges",
    "ROL": "Roles", "ACC": "Accident", "MRG": "Merged patient", "TQ1": "Timing", "CTD": "Contact",
    "FHS": "File", "BHS": "Batch", "BTS": "End of batch", "FTS": "End of file", "SFT": "Software",
    "PRB": "Problems", "QRD": "Query", "QRF": "Query filter", "DSP": "Display", "BLG": "Billing",
    "DB1": "Disability",
}  # fmt: skip

FIELDS: Final = {
    name: text.split("|")
    for name, text in {
        "MSH": "|Field separator|Encoding characters|Sending application|Sending facility"
        "|Receiving application"
        "|Receiving facility|Time|Security|Message type|Control id|Processing id|Version|Sequence number"
        "|Continuation|Accept acknowledgement|Application acknowledgement|Country|Character set|Language"
        "|Alternate character set|Profile",
        "EVN": "|Event|Recorded|Planned|Reason|Operator|Occurred|Facility",
        "PID": "|Set id|Patient id|Identifiers|Alternate id|Name|Mother's maiden name|Birth date|Sex"
        "|Alias|Race"
        "|Address|County|Home phone|Business phone|Language|Marital status|Religion|Account number|SSN"
        "|Driver's license|Mother's identifier|Ethnic group|Birth place|Multiple birth|Birth order"
        "|Citizenship"
        "|Veteran|Nationality|Death|Dead",
        "PD1": "|Living dependency|Living arrangement|Primary facility|Primary care provider|Student|Handicap"
        "|Living will|Organ donor|Separate bill|Duplicate patient|Publicity|Protection|Protection date",
        "NK1": "|Set id|Name|Relationship|Address|Phone|Business phone|Contact role|Start|End|Job title",
        "PV1": "|Set id|Class|Location|Admission type|Preadmit number|Prior location|Attending|Referring"
        "|Consulting|Service|Temporary location|Preadmit test|Readmission|Admit source|Ambulatory status|VIP"
        "|Admitting|Patient type|Visit number|Financial class|Charge price|Courtesy|Credit rating|Contract"
        "|Contract date|Contract amount|Contract period|Interest|Bad debt|Bad debt date|Bad debt agency"
        "|Bad debt transfer|Bad debt recovery|Delete account|Delete date|Discharge disposition|Discharged to"
        "|Diet|Servicing facility|Bed status|Account status|Pending location|Prior temporary location"
        "|Admitted"
        "|Discharged|Balance|Charges|Adjustments|Payments|Alternate visit id|Visit indicator|Other provider",
        "PV2": "|Prior pending location|Accommodation|Admit reason|Transfer reason|Valuables"
        "|Valuables location"
        "|User code|Expected admit|Expected discharge|Estimated stay|Actual stay|Description|Referral source",
        "AL1": "|Set id|Type|Allergen|Severity|Reaction|Identified",
        "IAM": "|Set id|Type|Allergen|Severity|Reaction|Action|Identifier|Action reason|Sensitivity|Group"
        "|Onset|Onset in words|Reported|Reported by|Relationship|Alert|Status|Recorded by|Organization"
        "|Recorded",
        "DG1": "|Set id|Method|Diagnosis|Description|Date|Type|Category|DRG|DRG approval|Grouper|Outlier"
        "|Outlier days|Outlier cost|Grouper version|Priority|Clinician"
        "|Classification|Confidential|Attested|Identifier|Action",
        "PR1": "|Set id|Method|Procedure|Description|Date|Type|Minutes|Anesthesiologist|Anesthesia"
        "|Anesthesia minutes|Surgeon|Practitioner|Consent|Priority|Diagnosis"
        "|Modifier|DRG type|Tissue|Identifier|Action",
        "ORC": "|Control|Placer order|Filler order|Placer group|Status|Response|Timing|Parent|Time|Entered by"
        "|Verified by|Ordering provider|Entered at|Call back|Effective|Reason|Organization|Device|Action by"
        "|Beneficiary notice|Facility|Facility address|Facility phone|Provider address",
        "OBR": "|Set id|Placer order|Filler order|Service|Priority|Requested|Observed|Observation ended"
        "|Collection volume|Collector|Specimen action|Danger|Clinical information|Specimen received"
        "|Specimen source|Ordering provider|Call back|Placer field 1|Placer field 2|Filler field 1"
        "|Filler field 2|Reported|Charge|Section|Result status|Parent result|Timing|Copies to|Parent"
        "|Transport"
        "|Reason|Interpreter|Assistant|Technician|Transcriptionist|Scheduled",
        "OBX": "|Set id|Value type|Test|Sub-id|Value|Units|Range|Flag|Probability|Nature|Status|Range since"
        "|Access checks|Time|Producer|Observer|Method|Equipment|Analyzed|||"
        "|Performing organization|Performing address|Medical director",
        "NTE": "|Set id|Source|Comment|Type",
        "TXA": "|Set id|Document type|Presentation|Activity time|Primary provider|Origination time"
        "|Transcription time|Edit time|Originator|Authenticator|Transcriptionist|Document number"
        "|Parent document|Placer order|Filler order|File name|Completion|Confidentiality|Availability|Storage"
        "|Change reason|Authentication|Copies to|Folder|Document title",
        "RXA": "|Given|Administration|Start|End|Vaccine or drug|Amount|Units|Form|Notes|Administered by"
        "|Location"
        "|Per|Strength|Strength units|Lot|Expires|Manufacturer|Refusal reason|Indication|Completion|Action"
        "|Entered",
        "RXO": "|Requested|Minimum|Maximum|Units|Form|Pharmacy instructions|Administration instructions"
        "|Deliver to"
        "|Substitution|Dispense|Dispense amount|Dispense units|Refills",
        "RXE": "|Timing|Give|Minimum|Maximum|Units|Form|Instructions|Deliver to|Substitution|Dispense amount"
        "|Dispense units|Refills",
        "RXR": "|Route|Site|Device|Method",
        "SPM": "|Set id|Specimen id|Parent|Type|Modifier|Additives|Collection method|Source site"
        "|Site modifier"
        "|Collection site|Role|Amount|Grouped count|Description|Handling|Risk|Collected|Received",
        "IN1": "|Set id|Plan|Company id|Company|Company address|Contact|Phone|Group number|Group name"
        "|Group employer id|Group employer|Effective|Expires|Authorization|Plan type|Insured|Relationship"
        "|Birth date|Insured address",
        "GT1": "|Set id|Number|Name|Spouse|Address|Home phone|Business phone|Birth date|Sex|Type"
        "|Relationship",
        "SCH": "|Placer appointment|Filler appointment|Occurrence|Placer group|Schedule|Event reason"
        "|Reason|Type"
        "|Duration|Duration units|Timing|Placer contact|Placer phone|Placer address|Placer location"
        "|Filler contact|Filler phone|Filler address|Filler location|Entered by|Entered by phone"
        "|Entered at|Parent placer|Parent filler|Status",
        "FHS": "|Field separator|Encoding characters|Sending application|Sending facility"
        "|Receiving application|Receiving facility|Time|Security|Name|Comment|Control id",
        "BHS": "|Field separator|Encoding characters|Sending application|Sending facility"
        "|Receiving application|Receiving facility|Time|Security|Name|Comment|Control id",
        "BTS": "|Messages|Comment|Totals",
        "FTS": "|Batches|Comment",
        "TQ1": "|Set id|Quantity|Repeat|Times of day|Relative time|Dose|Start|End|Priority|Condition|Text"
        "|Conjunction|Duration|Occurrences",
        "AIS": "|Set id|Action|Service|Start|Offset|Offset units|Duration|Duration units|Substitution|Status",
        "AIL": "|Set id|Action|Location|Type|Group|Start|Offset|Offset units|Duration|Duration units"
        "|Substitution|Status",
        "AIG": "|Set id|Action|Resource|Type|Group|Quantity|Quantity units|Start|Offset|Offset units"
        "|Duration|Duration units|Substitution|Status",
        "AIP": "|Set id|Action|Person|Role|Group|Start|Offset|Offset units|Duration|Duration units"
        "|Substitution|Status",
        "MRG": "|Earlier identifiers|Earlier alternate id|Earlier account|Earlier patient id|Earlier visit"
        "|Earlier alternate visit|Earlier name",
        "PRB": "|Action|Action time|Problem|Instance|Episode|List priority|Established"
        "|Anticipated resolution|Resolved|Classification|Discipline|Persistence|Confirmation|Life cycle"
        "|Life cycle time|Onset|Onset text|Ranking|Certainty|Probability|Awareness|Prognosis"
        "|Patient awareness|Family awareness|Security",
        "RXD": "|Dispense counter|Give|Dispensed|Amount|Units|Form|Prescription|Refills left|Notes"
        "|Dispensed by",
        "MSA": "|Code|Control id|Text|Expected sequence|Delayed|Error",
        "ERR": "|Code and location|Location|Code|Severity|Application code|Parameter|Diagnostics"
        "|User message",
    }.items()
}

TIMES: Final = {
    "MSH": {7}, "EVN": {2, 3, 6}, "PID": {7, 29, 33}, "NK1": {8, 9, 16}, "PV1": {44, 45}, "PV2": {8, 9},
    "AL1": {6}, "DG1": {5}, "PR1": {5}, "ORC": {9, 15}, "OBR": {6, 7, 8, 14, 22, 36}, "OBX": {12, 14, 19},
    "TXA": {4, 6, 7, 8}, "RXA": {3, 4, 16, 22}, "SPM": {17, 18}, "IN1": {12, 13, 18}, "GT1": {8},
    "FHS": {7}, "BHS": {7}, "TQ1": {7, 8}, "AIS": {4}, "AIL": {6}, "AIG": {8}, "AIP": {6},
    "PRB": {2, 7, 8, 9, 15, 16}, "RXD": {3},
}  # fmt: skip

MESSAGES: Final = {
    "ORU": "Results", "MDM": "Document", "ADT": "Patient administration", "ORM": "Order",
    "OML": "Laboratory order",
    "SIU": "Appointment", "VXU": "Immunizations", "DFT": "Charges", "RDE": "Pharmacy order",
    "ACK": "Acknowledgement",
    "RAS": "Administration", "RDS": "Dispense", "REF": "Referral", "PPR": "Problems", "ORR": "Order answer",
    "MFN": "Master file", "BAR": "Billing account", "QRY": "Query", "OUL": "Laboratory results",
    "RSP": "Answer",
    "QBP": "Query", "OMG": "Order", "ORL": "Laboratory order answer", "CRM": "Study registration",
}  # fmt: skip


def field_name(segment: str, number: int) -> str:
    """What a field is called, its number where it has no name here."""
    names = FIELDS.get(segment, ())
    return (names[number] if number < len(names) else "") or f"{segment}-{number}"
