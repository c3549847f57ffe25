"""Recordings: where they come from, how a clip is cleaned, which scenes are made of which clips."""
