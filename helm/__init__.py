"""The chart, and what checks it; nothing here is needed to run the platform."""
