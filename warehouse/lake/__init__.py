"""The lake: files in the archive that several machines read, where another engine than DuckDB builds the models.

Hot event rows are in it, as files that `meta.hot_files` names, and what else that engine is given. Sealed days are in
`warehouse.archive`, and what the engine makes of all that is its own.
"""
