"""Points and credits: the moves of the ledger, its history, and the rules by which events earn. Tables: `schema/`."""
