"""What runs in a process of its own and is measured from outside: ``python -m benchmarks.runs.X``.

Each prints one line of JSON at its end.
"""
