"""Spoken language understanding: sentences with an intent and slots, in the form in which ATIS and SNIPS are had."""
