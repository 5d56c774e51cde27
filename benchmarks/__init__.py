"""The figures of the docs, measured on the machine at hand. Nothing here is a test, and no test is timed."""
