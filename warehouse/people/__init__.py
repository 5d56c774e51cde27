"""People who leave: what is held on a person, its removal from every store, the search for what is left, its export.

What is done with which table is data: `holdings.py`. The spool is not known here: `footfall/erasing.py` brings both
together.
"""
