"""D4: the record of restores: the row, the ledger that holds it, the gate that reads it, the report for people."""
