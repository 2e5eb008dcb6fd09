# Child processes that the tests start, and what those import: no tests.
collect_ignore = ["corpus.py", "decoder.py", "loader.py", "rates.py"]
