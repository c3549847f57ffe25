"""Whole corpora: what they are made of, built in shards, checked and listened to."""
