"""The whole platform on one machine: fetch, configure, start, watch and stop real servers."""
