"""How the schema came to be: `NNNN_verb_object`, one change each, safe while the app runs."""
