"""HL7 version 2: ADT messages over MLLP."""
