"""D4: the record of restores: the row, the ledger it stands in, the gate that reads it, the report people read."""
