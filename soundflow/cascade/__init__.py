"""The cascade: pretrained parts in a row, each decision made by rules."""

import os

# Whisper's runtime compiles its convolutions anew for every length of window and keeps the last
# 1,024 of them, some hundreds of megabytes that a long run fills. Compiling one costs less than
# can be measured beside a pass, so a few will do. Read when the first window is encoded.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
