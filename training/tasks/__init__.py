"""The sub-tasks of a corpus, four for each ability: from a seed and material to a plan."""
