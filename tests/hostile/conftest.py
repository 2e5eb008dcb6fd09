# Child processes that the tests start, and what those import: no tests.
collect_ignore = [
    "by_ffmpeg.py",
    "corpus.py",
    "decoder.py",
    "loader.py",
    "pyav_encoder.py",
    "rates.py",
]
